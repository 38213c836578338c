use serde_json::{Map, Value};

use crate::application::ports::TokenError;
use crate::domain::Timestamp;
use crate::domain::access::principal::{Principal, Scope, Tenant};
use crate::infrastructure::config::JwtConfig;

/// Seconds by which clocks may differ unnoticed.
const LEEWAY: f64 = 60.0;

/// It is stored with every row that its bearer makes.
const LONGEST_SUBJECT: usize = 255;

/// What the claims of a token have to say, once its signature has been verified.
pub(super) struct ClaimRules {
    issuer: Option<String>,
    audience: Option<String>,
    tenant_claim: String,
    user_claim: String,
}

impl ClaimRules {
    pub(super) fn new(config: &JwtConfig) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            tenant_claim: config.tenant_claim.clone(),
            user_claim: config.user_claim.clone(),
        }
    }

    pub(super) fn principal(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Principal, TokenError> {
        check_times(claims, now)?;
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(invalid("the token is of another issuer"));
        }
        if let Some(audience) = &self.audience
            && !is_for(claims.get("aud"), audience)
        {
            return Err(invalid("the token is for another audience"));
        }
        let subject = self.subject(claims)?;
        Ok(Principal { tenant: self.tenant(claims, &subject)?, subject, scopes: scopes(claims)? })
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<String, TokenError> {
        let claim = &self.user_claim;
        let subject = claims.get(claim).and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            // Systems that number their users; `sub` itself is a text (RFC 7519).
            Value::Number(number) if claim != "sub" && (number.is_u64() || number.is_i64()) => Some(number.to_string()),
            _ => None,
        });
        subject.filter(|subject| is_subject(subject)).ok_or_else(|| {
            invalid(&format!(
                "the token must have a `{claim}` of 1 to 255 characters, none of them a control character"
            ))
        })
    }

    fn tenant(&self, claims: &Map<String, Value>, subject: &str) -> Result<Tenant, TokenError> {
        let name = match claims.get(&self.tenant_claim) {
            None => Some(subject),
            // A claim that is there and names no tenant must not open the subject's own tenant instead.
            Some(value) => value.as_str(),
        };
        name.and_then(|name| Tenant::new(name).ok())
            .ok_or_else(|| invalid("the token's tenant must be 1 to 255 characters, none of them a control character"))
    }
}

pub(super) fn invalid(reason: &str) -> TokenError {
    TokenError::Invalid(reason.to_owned())
}

pub(super) fn forged() -> TokenError {
    invalid("the token's signature does not fit")
}

pub(super) fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenError> {
    let now = now.timestamp_millis() as f64 / 1000.0;
    let Some(expiry) = claims.get("exp").and_then(Value::as_f64) else {
        return Err(invalid("the token must say when it expires: `exp`, in seconds"));
    };
    if now >= expiry + LEEWAY {
        return Err(invalid("the token has expired"));
    }
    match claims.get("nbf").map(Value::as_f64) {
        Some(None) => Err(invalid("the token's `nbf` must be a number of seconds")),
        Some(Some(start)) if now < start - LEEWAY => Err(invalid("the token is not valid yet")),
        _ => Ok(()),
    }
}

fn is_for(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(only)) => only == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Without the claim, which some issuers call `scp`, a token may do what its tenant may, except administer. Scopes of other systems are ignored.
fn scopes(claims: &Map<String, Value>) -> Result<Vec<Scope>, TokenError> {
    let malformed =
        || invalid("the token's `scope`, or `scp`, must be a text with spaces in between, or a list of texts");
    let names: Vec<&str> = match claims.get("scope").or_else(|| claims.get("scp")) {
        None => return Ok(Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin).collect()),
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(malformed)?,
        Some(_) => return Err(malformed()),
    };
    Ok(Scope::ALL.into_iter().filter(|scope| names.contains(&scope.as_str())).collect())
}
