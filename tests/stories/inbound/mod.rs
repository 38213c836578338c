mod receiving;
