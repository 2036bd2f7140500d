//! The client against real servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bodies;
mod names;
mod redirects;
mod tls;

use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc};

use axum::Router;
use bartizan_net::{Client, ClientOptions, EgressError, EgressPolicy, Lookup};
use reqwest::Method;
use url::Url;

/// Names as a test wants them.
struct Names(BTreeMap<&'static str, Vec<IpAddr>>);

#[async_trait::async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.0.get(name).cloned().ok_or_else(|| io::Error::other("no such name"))
    }
}

fn names(names: &[(&'static str, &[&str])]) -> Arc<Names> {
    let parsed = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Names(names.iter().map(|(name, list)| (*name, parsed(list))).collect()))
}

fn policy(rules: &[&str]) -> EgressPolicy {
    EgressPolicy { allow: rules.iter().map(|rule| rule.parse().unwrap()).collect() }
}

fn client(rules: &[&str], known: Arc<Names>, redirects: usize) -> Client {
    let options = ClientOptions { redirects, ..ClientOptions::default() };
    Client::with_lookup(policy(rules), &options, known).unwrap()
}

/// Serves `routes` on a port of loopback, until the test ends.
async fn serve(routes: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

async fn get(client: &Client, url: &str) -> Result<String, String> {
    let request = client
        .request(Method::GET, Url::parse(url).unwrap())
        .map_err(|refusal| refusal.to_string())?;
    let response = request.send().await.map_err(|error| match EgressError::within(&error) {
        Some(refusal) => refusal.to_string(),
        None => format!("{error:?}"),
    })?;
    Ok(format!("{} {}", response.status().as_u16(), response.text().await.unwrap()))
}
