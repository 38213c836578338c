//! A pooler between the program and PostgreSQL, as far as it shows at the start: a few words of the protocol, in place of a
//! PgBouncer that would have to be installed.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;

stories!(
    on_one_installation:
    a_pooler_that_refuses_a_parameter_is_told_how_to_be_configured,
    a_pooler_that_shares_connections_is_refused;
);

/// What it says to its clients.
#[derive(Clone, Copy)]
enum Pooler {
    /// PgBouncer as it is installed.
    Refuses,
    /// In transaction mode: every client has the same connection of the server.
    Shares,
}

impl Pooler {
    /// Its port.
    async fn start(self) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move { self.serve(client).await });
            }
        });
        port
    }

    /// Until the client hangs up.
    async fn serve(self, mut client: TcpStream) -> Option<()> {
        let mut startup = body(&mut client).await?;
        if startup.starts_with(&80_877_103_u32.to_be_bytes()) {
            // TLS is not spoken here.
            client.write_all(b"N").await.ok()?;
            startup = body(&mut client).await?;
        }
        assert!(String::from_utf8_lossy(&startup).contains("extra_float_digits"));
        if matches!(self, Self::Refuses) {
            let fields = b"SERROR\0C08P01\0Munsupported startup parameter: extra_float_digits\0\0";
            return client.write_all(&message(b'E', fields)).await.ok();
        }
        let ready = message(b'Z', b"I");
        client.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).await.ok()?;
        loop {
            let kind = client.read_u8().await.ok()?;
            let said = body(&mut client).await?;
            let answer = match kind {
                b'Q' => answer(&String::from_utf8_lossy(&said)),
                b'S' => Vec::new(),
                _ => return None,
            };
            client.write_all(&[answer, ready.clone()].concat()).await.ok()?;
        }
    }
}

async fn body(client: &mut TcpStream) -> Option<Vec<u8>> {
    let length = client.read_u32().await.ok()?;
    let mut body = vec![0; length.checked_sub(4)? as usize];
    client.read_exact(&mut body).await.ok()?;
    Some(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// One row of one column, in text.
fn answer(query: &str) -> Vec<u8> {
    let (name, of_type, value): (&[u8], u32, &[u8]) =
        if query.contains("pg_backend_pid") { (b"pid", 23, b"4711") } else { (b"takes_writes", 16, b"t") };
    let described = [&[0, 1][..], name, &[0; 7], &of_type.to_be_bytes(), &[0xff; 2], &[0xff; 4], &[0; 2]].concat();
    let row = [&[0, 1][..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
    [message(b'T', &described), message(b'D', &row), message(b'C', b"SELECT 1\0")].concat()
}

/// What a start through the pooler says, in vain.
async fn refused(installation: &Installation, pooler: Pooler) -> String {
    let url = format!("postgres://correio@127.0.0.1:{}/correio", pooler.start().await);
    let environment = [("DATABASE_URL".to_owned(), url)];
    let output = run(installation.directory.path(), &environment, &["migrate"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    said
}

async fn a_pooler_that_refuses_a_parameter_is_told_how_to_be_configured(installation: Installation) {
    let said = refused(&installation, Pooler::Refuses).await;
    assert!(said.starts_with("correio: DATABASE_URL: a pooler refuses"), "{said}");
    assert!(said.contains("ignore_startup_parameters = extra_float_digits"), "{said}");
}

async fn a_pooler_that_shares_connections_is_refused(installation: Installation) {
    let said = refused(&installation, Pooler::Shares).await;
    assert!(said.starts_with("correio: DATABASE_URL: a pooler gives"), "{said}");
    assert!(said.contains("pool_mode = session"), "{said}");
}
