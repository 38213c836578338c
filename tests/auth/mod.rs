mod published_keys;
