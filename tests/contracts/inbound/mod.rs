mod received_messages;
