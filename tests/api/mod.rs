//! The REST API from outside: the running binary, over sockets.

mod fuzz;
mod http;
mod openapi_contract;
mod openapi_document;
mod schema_values;
mod server;
