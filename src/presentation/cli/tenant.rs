use crate::domain::access::principal::Tenant;

/// A tenant's name, for the command line.
pub fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::new(text).map_err(|error| error.to_string())
}
