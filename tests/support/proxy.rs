//! A connection that a story can cut, slow down, silence and lead elsewhere.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Every piece comes later, either way.
    Slow(Duration),
    /// Nothing comes through, and nobody says so: a frozen server, a lost network.
    Silent,
    /// Connections are closed, and new ones at once.
    Cut,
}

/// Leads from a port to another of this machine.
pub struct Proxy {
    weather: watch::Sender<Weather>,
    target: watch::Sender<SocketAddr>,
    server: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(port: u16, leads_to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("its port is free");
        let weather = watch::Sender::new(Weather::Fine);
        let target = watch::Sender::new(on_this_machine(leads_to));
        let server = tokio::spawn(serve(listener, target.subscribe(), weather.subscribe()));
        Self { weather, target, server }
    }

    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// New connections lead there; those that are open lead where they led.
    pub fn lead_to(&self, port: u16) {
        self.target.send_replace(on_this_machine(port));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn on_this_machine(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn serve(listener: TcpListener, target: watch::Receiver<SocketAddr>, weather: watch::Receiver<Weather>) {
    // The connections end with the proxy: they are aborted when the set is dropped.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (target, weather) = (*target.borrow(), weather.clone());
        connections.spawn(async move {
            let _one_side_left = connect(client, target, weather).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(client: TcpStream, target: SocketAddr, mut weather: watch::Receiver<Weather>) -> io::Result<()> {
    if *weather.borrow() == Weather::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (there, back) = (weather.clone(), weather.clone());
    tokio::select! {
        done = carry(from_client, to_server, there) => done,
        done = carry(from_server, to_client, back) => done,
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => Ok(()),
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let now = *weather.wait_for(|weather| *weather != Weather::Silent).await.map_err(io::Error::other)?;
        if let Weather::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
