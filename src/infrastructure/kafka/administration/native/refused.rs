//! What is answered instead of what was asked for.

use std::ffi::{CStr, c_char};

use rdkafka::bindings as sys;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

/// What a broker, or librdkafka, answers instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: RDKafkaErrorCode,
    pub reason: String,
}

impl Refused {
    /// With the code's own description where there are no words for this case.
    pub fn unless_none(code: RDKafkaRespErr, reason: Option<String>) -> Option<Self> {
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: a static text.
        let described = || unsafe { text(sys::rd_kafka_err2str(code)) }.unwrap_or_default();
        Some(Self { code: code.into(), reason: reason.filter(|reason| !reason.is_empty()).unwrap_or_else(described) })
    }

    pub fn invalid(reason: String) -> Self {
        Self { code: RDKafkaErrorCode::InvalidArgument, reason }
    }

    pub fn no_memory() -> Self {
        Self { code: RDKafkaErrorCode::Fail, reason: "librdkafka made no object".to_owned() }
    }
}

impl From<KafkaError> for Refused {
    fn from(error: KafkaError) -> Self {
        let code = match &error {
            // librdkafka says no more of these than their names.
            KafkaError::Seek(name) | KafkaError::Subscription(name) if is_timeout(name) => {
                RDKafkaErrorCode::OperationTimedOut
            }
            KafkaError::Seek(_) | KafkaError::Subscription(_) | KafkaError::Nul(_) => RDKafkaErrorCode::InvalidArgument,
            error => error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
        };
        Self { code, reason: error.to_string() }
    }
}

/// `_TIMED_OUT` is an error's name, `Local: Timed out` its description.
fn is_timeout(said: &str) -> bool {
    said.to_ascii_lowercase().replace('_', " ").contains("timed out")
}

/// # Safety
/// `text` is null, or a C string.
pub unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: promised.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
