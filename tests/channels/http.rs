//! What channels in `src/infrastructure/channels/` reach as `super::http`. The library keeps it to itself, and the example
//! channel stands outside of the library.

#[path = "../../src/infrastructure/channels/http/credentials_object.rs"]
pub mod credentials_object;
#[path = "../../src/infrastructure/channels/http/http_answer.rs"]
pub mod http_answer;
#[path = "../../src/infrastructure/channels/http/redaction.rs"]
pub mod redaction;
