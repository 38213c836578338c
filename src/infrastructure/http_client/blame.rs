//! Whose fault it is that a call has no answer, as far as its error shows.

use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use rustix::io::Errno;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::causes::causes;
use super::certificates::NoCertificates;
use super::names::NoNameServer;

/// A receiver whose certificate is its own fault looks the same: both ways out are said.
const UNKNOWN_AUTHORITY: &str = "its certificate is signed by an authority that this machine does not know, or comes without \
     the certificates in between: add the authority to the machine's, or name a file that has it, too, with SSL_CERT_FILE";

/// rustls takes none, also where it is trusted; curl and OpenSSL do.
const AN_AUTHORITYS: &str = "its certificate is an authority's (`CA:TRUE`, as `openssl req -x509` makes it by itself), which TLS \
     libraries take from no server: make it with `-addext basicConstraints=critical,CA:FALSE`, or one that the authority signs";

/// What keeps this process, or this machine, from calling: the end of a sentence. The server that it would have called did
/// nothing wrong, and another call would fail as well.
pub fn own_trouble(error: &reqwest::Error) -> Option<String> {
    if causes(error).any(|cause| cause.is::<NoCertificates>()) {
        return Some(NoCertificates.to_string());
    }
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<NoNameServer>()) {
        return Some(error.to_string());
    }
    if matches!(refused_certificate(error), Some(CertificateError::UnknownIssuer)) {
        return Some(UNKNOWN_AUTHORITY.to_owned());
    }
    if refused_certificate(error).is_some_and(|refusal| format!("{refusal:?}").contains("CaUsedAsEndEntity")) {
        return Some(AN_AUTHORITYS.to_owned());
    }
    if !error.is_connect() {
        return None;
    }
    causes(error).filter_map(|cause| cause.downcast_ref()).find_map(lack).map(str::to_owned)
}

/// What was lacking for a connection.
fn lack(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(
            "this process has as many files and connections open as it may: raise its limit of open files \
             (`LimitNOFILE`, `ulimit -n`), or lower MAX_CONNECTIONS",
        ),
        Errno::NFILE => Some("this machine has as many files and connections open as it may (`fs.file-max`)"),
        Errno::NOMEM | Errno::NOBUFS => Some("this machine has no memory for another connection"),
        Errno::ADDRNOTAVAIL => Some(
            "this machine has no address or no free port to call it from \
             (`net.ipv4.ip_local_port_range`; for an IPv6 address, whether IPv6 is on)",
        ),
        _ => None,
    }
}

/// Of a certificate that is out of its time: the end of a sentence, with what the clock here shows, which may be what is wrong.
pub fn untimely_certificate(error: &reqwest::Error) -> Option<String> {
    let (what, limit, clock) = match refused_certificate(error)? {
        CertificateError::Expired => ("has expired", None, UnixTime::now()),
        CertificateError::ExpiredContext { time, not_after } => ("expired at ", Some(*not_after), *time),
        CertificateError::NotValidYet => ("is not valid yet", None, UnixTime::now()),
        CertificateError::NotValidYetContext { time, not_before } => ("is not valid before ", Some(*not_before), *time),
        _ => return None,
    };
    let limit = limit.map(shown).unwrap_or_default();
    Some(format!("its certificate {what}{limit}, and the clock of this machine shows {}", shown(clock)))
}

fn shown(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// Whether the server read nothing because no certificate was shown to it. With TLS 1.3 it says so only after the request
/// was sent, and over HTTP/2 only the text of its alert is left.
pub fn wants_client_certificate(error: &reqwest::Error) -> bool {
    let alert = TlsError::AlertReceived(AlertDescription::CertificateRequired).to_string();
    causes(error).any(|cause| cause.to_string() == alert)
}

fn refused_certificate(error: &reqwest::Error) -> Option<&CertificateError> {
    causes(error).find_map(|cause| match cause.downcast_ref() {
        Some(TlsError::InvalidCertificate(refusal)) => Some(refusal),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_not_what_a_server_does() {
        for (errno, said) in [
            (Errno::MFILE, "LimitNOFILE"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::NOMEM, "no memory"),
            (Errno::NOBUFS, "no memory"),
            (Errno::ADDRNOTAVAIL, "no free port"),
        ] {
            assert!(lack(&errno.into()).unwrap().contains(said), "{errno:?}");
        }
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert_eq!(lack(&errno.into()), None, "{errno:?}");
        }
    }

    #[test]
    fn a_moment_is_shown_to_the_second() {
        assert_eq!(shown(UnixTime::since_unix_epoch(std::time::Duration::from_secs(1))), "1970-01-01T00:00:01Z");
    }
}
