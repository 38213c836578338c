//! Names, looked up as this machine does it: with its hosts file and its name servers.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dns_lookup::{LookupError, LookupErrorKind, lookup_host};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

/// Less than a connection may take, which would otherwise end first, as if the receiver were the one that is silent. A library
/// of the system asks a name server that is silent for ten seconds and more.
const PATIENCE: Duration = Duration::from_secs(4);

type AnyError = Box<dyn Error + Send + Sync>;

/// No name server has said whether there is such a name: that one does not answer, or has trouble of its own, is not what a
/// name that does not exist is.
#[derive(Debug, thiserror::Error)]
#[error(
    "the name servers of this machine do not look its name up ({0}): see that they answer, and what /etc/resolv.conf says"
)]
pub struct NoNameServer(String);

#[derive(Clone, Copy, Debug)]
pub(super) struct MachinesNames;

impl Resolve for MachinesNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move { Ok(Box::new(addresses(name.as_str()).await?.into_iter()) as Addrs) })
    }
}

/// All addresses of a name, with port 0.
pub(super) async fn addresses(name: &str) -> Result<Vec<SocketAddr>, AnyError> {
    let name = name.to_owned();
    let lookup = tokio::task::spawn_blocking(move || lookup_host(&name).map(Vec::from_iter));
    let Ok(found) = timeout(PATIENCE, lookup).await else {
        return Err(NoNameServer(format!("no answer within {} s", PATIENCE.as_secs())).into());
    };
    let found = found?.map_err(explained)?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

/// The library of the system says SERVFAIL and silence with the one code, REFUSED with the other.
fn explained(error: LookupError) -> AnyError {
    match error.kind() {
        LookupErrorKind::Again | LookupErrorKind::Fail => NoNameServer(error.to_string()).into(),
        _ => io::Error::from(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_no_name_server(code: i32) -> bool {
        explained(LookupError::new(code)).is::<NoNameServer>()
    }

    #[test]
    fn a_name_server_that_is_away_is_not_a_name_that_does_not_exist() {
        // As glibc and musl number them: EAI_AGAIN, EAI_FAIL, EAI_NONAME.
        #[cfg(target_os = "linux")]
        assert_eq!([-3, -4, -2].map(is_no_name_server), [true, true, false]);
        let said = explained(LookupError::new(-3)).to_string();
        #[cfg(target_os = "linux")]
        assert!(said.contains("/etc/resolv.conf"), "{said}");
    }
}
