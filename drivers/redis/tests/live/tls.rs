//! TLS.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use socketio_proto_redis::{RedisEngine, RedisStreamsOptions, redis};

use crate::ports::free_port;
use crate::support::{Client, Node, PATIENCE, Redis, have_redis};

#[tokio::test]
async fn a_node_trusts_the_certificate_that_it_was_given_and_no_other() {
    if !have_redis() {
        return;
    }
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let folder = std::env::temp_dir().join(format!("socketio-proto-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&cert_file, cert.pem()).unwrap();
    fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let files = [&cert_file, &key_file].map(|file| file.to_str().unwrap().to_owned());
    let [cert_file, key_file] = &files;
    let options = ["--tls-port", &port.to_string(), "--tls-cert-file", cert_file];
    let more = ["--tls-key-file", key_file, "--tls-ca-cert-file", cert_file];
    let redis =
        Redis::start(&[&options[..], &more[..], &["--tls-auth-clients", "no"]].concat()).await;

    let url = format!("rediss://localhost:{port}");
    let stranger = Node::with(&url, RedisStreamsOptions::new()).await;
    stranger.until_failed_with("certificate").await;

    let certificates =
        redis::TlsCertificates { client_tls: None, root_cert: Some(cert.pem().into_bytes()) };
    let client = redis::Client::build_with_tls(url, certificates).unwrap();
    let engine = RedisEngine::new(&client, RedisStreamsOptions::new()).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE)).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    drop(redis);
    fs::remove_dir_all(folder).unwrap();
}
