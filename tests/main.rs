mod channels;
mod contracts;
mod support;
