//! TLS.

use socketio_proto_postgres::{PostgresEngine, PostgresEngineError, PostgresOptions};

#[test]
fn modes_of_tls_that_are_not_there_are_refused() {
    for mode in ["allow", "verify-ca", "verify-full", "REQUIRE", ""] {
        let url = format!("postgres://test@localhost/postgres?sslmode={mode}");
        let refused = PostgresEngine::open(&url, PostgresOptions::new()).unwrap_err();
        let PostgresEngineError::Postgres(cause) = &refused else { panic!("{mode}: {refused:?}") };
        let cause = std::error::Error::source(cause).unwrap().to_string();
        assert!(cause.contains("sslmode"), "{mode}: {cause}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_that_was_not_built_is_refused() {
    let url = "postgres://test@localhost/postgres?sslmode=require";
    let refused = PostgresEngine::open(url, PostgresOptions::new()).unwrap_err();
    assert!(matches!(refused, PostgresEngineError::WithoutTls), "{refused:?}");
}

#[cfg(feature = "tls")]
mod real {
    use std::{env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use socketio_proto_postgres::{PostgresEngine, PostgresOptions, tokio_postgres};

    use crate::support::{Client, Node, PATIENCE, Postgres, have_postgres, is_root};

    /// The port of the server, for the test that runs in a process of its own.
    const PORT: &str = "TEST_TLS_PORT";

    #[tokio::test]
    async fn a_node_does_not_trust_a_certificate_of_an_unknown_authority() {
        if !have_postgres() {
            return;
        }
        let postgres = Postgres::start().await;
        let CertifiedKey { cert, signing_key } = certificate();
        offer_tls(&postgres, &cert.pem(), &signing_key.serialize_pem()).await;
        for mode in ["require", "prefer"] {
            let url = format!("postgres://test@localhost:{}/postgres", postgres.port);
            fails(&format!("{url}?sslmode={mode}"), "UnknownIssuer").await;
        }
        assert_eq!(tables(&postgres).await, 0);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_refused_if_tls_is_required() {
        if !have_postgres() {
            return;
        }
        let postgres = Postgres::start().await;
        fails(&format!("{}?sslmode=require", postgres.url()), "does not support TLS").await;
        assert_eq!(tables(&postgres).await, 0);
        // `prefer`, the default.
        let node = Node::start(&postgres).await;
        assert_eq!(connections(postgres.port).await, (0, 3));
        drop(node);
    }

    /// What a process trusts is in its environment, so the other half runs in another process.
    #[tokio::test]
    async fn a_node_trusts_an_authority_that_it_is_told_of() {
        if !have_postgres() {
            return;
        }
        let postgres = Postgres::start().await;
        let CertifiedKey { cert, signing_key } = certificate();
        let file = offer_tls(&postgres, &cert.pem(), &signing_key.serialize_pem()).await;
        let mut process = Command::new(env::current_exe().unwrap());
        process.args(["--exact", "tls::real::with_a_trusted_certificate", "--ignored"]);
        process.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
        process.env(PORT, postgres.port.to_string());
        let output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
    }

    #[tokio::test]
    #[ignore = "the test before it runs it, with the environment that it needs"]
    async fn with_a_trusted_certificate() {
        let port = env::var(PORT).unwrap().parse().unwrap();
        let url =
            |rest: &str| format!("host=localhost port={port} user=test dbname=postgres {rest}");
        let wrong =
            format!("{} hostaddr=127.0.0.1", url("").replace("localhost", "elsewhere.test"));
        fails(&format!("{wrong} sslmode=require"), "not valid for name").await;
        fails(&format!("postgres://test@127.0.0.1:{port}/postgres"), "not valid for").await;

        let engine = PostgresEngine::open(&url("sslmode=require"), PostgresOptions::new()).unwrap();
        let node = Node::on(engine.answer_timeout(PATIENCE)).await;
        let mut client = Client::connect(&node).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
        assert_eq!(connections(port).await, (3, 0), "all of them are encrypted");
    }

    fn certificate() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
    }

    /// How many tables nodes have made.
    async fn tables(postgres: &Postgres) -> i64 {
        postgres.number("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'socket_io%'").await
    }

    /// Lets a server offer TLS with this certificate and its key. Returns the file of the certificate.
    async fn offer_tls(postgres: &Postgres, cert: &str, key: &str) -> PathBuf {
        let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| postgres.folder.join(name));
        fs::write(&cert_file, cert).unwrap();
        fs::write(&key_file, key).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&key_file).status().unwrap();
            assert!(owned.success());
        }
        for (option, file) in [("ssl_cert_file", &cert_file), ("ssl_key_file", &key_file)] {
            postgres.run(&format!("ALTER SYSTEM SET {option} = '{}'", file.display())).await;
        }
        postgres.run("ALTER SYSTEM SET ssl = on").await;
        postgres.run("SELECT pg_reload_conf()").await;
        cert_file
    }

    /// Starts a node that cannot connect, and waits until it says this.
    async fn fails(url: &str, text: &str) {
        let engine = PostgresEngine::open(url, PostgresOptions::new()).unwrap();
        let node = Node::begin(Node::config(), engine.answer_timeout(PATIENCE)).await;
        node.until_failed_with(text).await;
        assert_eq!(node.engine().await.connected, 0);
    }

    /// How many connections of nodes with the server on this port are encrypted, and how many are not.
    async fn connections(port: u16) -> (i64, i64) {
        let url = format!("postgres://test@127.0.0.1:{port}/postgres?sslmode=disable");
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let count = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
            FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE application_name = 'socketio-proto'";
        let row = client.query_one(count, &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}
