//! The receiver: it takes every message, and costs next to nothing.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Result;
use crate::connection::Connection;
use crate::requests;
use crate::support::free_port::free_port;
use crate::support::leash::Leash;
use crate::tool;

pub struct Nginx {
    child: Child,
    leash: Leash,
    _directory: TempDir,
    pub address: String,
}

impl Nginx {
    /// Returns when it takes messages.
    ///
    /// # Errors
    /// When it is not installed, or does not work as a receiver.
    pub async fn start() -> Result<Self> {
        let (program, directory) = (tool::installed("nginx", "nginx-light")?, tempfile::tempdir()?);
        let address = format!("127.0.0.1:{}", free_port());
        let configuration = directory.path().join("nginx.conf");
        std::fs::write(&configuration, self::configuration(directory.path(), &address))?;
        let mut command = Command::new(program);
        command.arg("-e").arg(directory.path().join("error.log")).arg("-c").arg(configuration);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let leash = Leash::on_server(child.id(), "KILL", directory.path());
        let mut nginx = Self { child, leash, _directory: directory, address };
        nginx.takes_messages().await?;
        Ok(nginx)
    }

    /// One connection, several bodies: one that it left unread would be taken for the next request.
    async fn takes_messages(&mut self) -> Result<()> {
        let mut tries = 0;
        let mut connection = loop {
            match Connection::open(&self.address).await {
                Ok(connection) => break connection,
                Err(_) if tries < 250 && self.child.try_wait()?.is_none() => tries += 1,
                Err(error) => return Err(format!("nginx does not start: {error}").into()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        for _ in 0..3 {
            let status = connection.status_of(&requests::call_of_a_webhook()).await?;
            if status != 200 {
                return Err(format!("nginx answers {status} as a receiver").into());
            }
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.leash.let_go();
        let _it_may_have_ended = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process: killing it leaves nobody behind.
fn configuration(directory: &Path, address: &str) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
master_process off;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {address};
        location / {{ return 200; }}
    }}
}}
"
    )
}
