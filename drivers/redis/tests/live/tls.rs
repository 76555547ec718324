//! TLS.

use std::{fs, path::PathBuf};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use socketio_proto_redis::{
    RedisEngine, RedisPubSubEngine, RedisPubSubOptions, RedisShardedEngine, RedisShardedOptions,
    RedisStreamsOptions, SubscriptionMode, redis,
};

use crate::ports::free_port;
use crate::support::{Client, Node, PATIENCE, Redis, have_redis};

/// A Redis that offers TLS besides, for `localhost`.
struct Encrypted {
    redis: Redis,
    port: u16,
    cert: String,
    folder: PathBuf,
}

impl Encrypted {
    async fn start(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } = certificate();
        let name = format!("socketio-proto-tls-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&cert_file, cert.pem()).unwrap();
        fs::write(&key_file, signing_key.serialize_pem()).unwrap();
        let port = free_port();
        let files = [&cert_file, &key_file].map(|file| file.to_str().unwrap().to_owned());
        let [cert_file, key_file] = &files;
        let options = ["--tls-port", &port.to_string(), "--tls-cert-file", cert_file];
        let more = ["--tls-key-file", key_file, "--tls-ca-cert-file", cert_file];
        let all = [&options[..], &more[..], &["--tls-auth-clients", "no"]].concat();
        Self { redis: Redis::start(&all).await, port, cert: cert.pem(), folder }
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// A client that trusts the certificate.
    fn client(&self) -> redis::Client {
        client(&self.url(), &self.cert)
    }

    /// For each connection of nodes, whether something is subscribed on it. All of them are encrypted.
    async fn connections(&self) -> Vec<bool> {
        let list = self.redis.call("CLIENT LIST").await;
        let list: String = redis::from_redis_value(list).unwrap();
        let others = list.lines().filter(|line| !line.contains(" cmd=client|list "));
        let encrypted = format!(" laddr=127.0.0.1:{} ", self.port);
        let subscribed = others.map(|line| {
            assert!(line.contains(&encrypted), "not encrypted: {line}");
            !(line.contains(" sub=0 ") && line.contains(" psub=0 ") && line.contains(" ssub=0 "))
        });
        subscribed.collect()
    }

    /// A node carries an event to its client, and a connection that is subscribed is encrypted as well.
    async fn check(&self, node: &Node) {
        node.until_connected().await;
        let mut client = Client::connect(node).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
        let connections = self.connections().await;
        assert!(connections.contains(&true) && connections.contains(&false), "{connections:?}");
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// A client that trusts this certificate.
fn client(url: &str, cert: &str) -> redis::Client {
    let root_cert = Some(cert.as_bytes().to_vec());
    let certificates = redis::TlsCertificates { client_tls: None, root_cert };
    redis::Client::build_with_tls(url, certificates).unwrap()
}

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

#[tokio::test]
async fn a_node_trusts_the_certificate_that_it_was_given_and_no_other() {
    if !have_redis() {
        return;
    }
    let server = Encrypted::start("streams").await;
    let options = RedisStreamsOptions::new;
    let stranger = Node::with(&server.url(), options()).await;
    stranger.until_failed_with("UnknownIssuer").await;
    let other = client(&server.url(), &certificate().cert.pem());
    let stranger = Node::on(RedisEngine::new(&other, options()).unwrap()).await;
    stranger.until_failed_with("certificate").await;
    // It is for `localhost`, and this is an address.
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let misled = client(&url, &server.cert);
    let misled = Node::on(RedisEngine::new(&misled, options()).unwrap()).await;
    misled.until_failed_with("not valid for").await;
    // They try again and again, so one may have just come, and is turned away soon.
    let nobody = async { while !server.connections().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, nobody).await.expect("nobody gets in");

    let client = server.client();
    let engine = RedisEngine::new(&client, options()).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE)).await;
    server.check(&node).await;
}

#[tokio::test]
async fn a_redis_without_tls_is_refused_if_tls_is_wanted() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let url = format!("rediss://localhost:{}", redis.port);
    let node = Node::impatient(&url).await;
    let failed = node.until(|stats| stats.failures > 0).await;
    assert_eq!(failed.connected, 0);
}

#[tokio::test]
async fn pubsub_is_encrypted_as_well() {
    if !have_redis() {
        return;
    }
    let server = Encrypted::start("pubsub").await;
    let client = server.client();
    let stranger = RedisPubSubEngine::open(server.url(), RedisPubSubOptions::new()).unwrap();
    Node::on(stranger).await.until_failed_with("UnknownIssuer").await;
    let engine = RedisPubSubEngine::new(&client, RedisPubSubOptions::new()).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE)).await;
    server.check(&node).await;
}

#[tokio::test]
async fn sharded_pubsub_is_encrypted_as_well() {
    if !have_redis() {
        return;
    }
    let server = Encrypted::start("sharded").await;
    let client = server.client();
    let options = || RedisShardedOptions::new().subscription_mode(SubscriptionMode::Static);
    let stranger = RedisShardedEngine::open(server.url(), options()).unwrap();
    Node::on(stranger).await.until_failed_with("UnknownIssuer").await;
    let engine = RedisShardedEngine::new(&client, options()).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE)).await;
    server.check(&node).await;
}
