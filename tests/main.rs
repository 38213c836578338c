mod contracts;
mod support;
