mod receipt_inbox;
