//! What is wrong with certificates, keys and lists, and what the operator is told.

use rcgen::{
    CertificateRevocationListParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, KeyIdMethod,
    KeyUsagePurpose, NameConstraints, SerialNumber, date_time_ymd,
};
use rustls::server::WebPkiClientVerifier;

use super::*;
use crate::net::connect::CertificateProblem as Problem;

/// What a server with this certificate is told under `verify-full`.
async fn refused(files: ClientTls, root: &std::path::Path, more: &str) -> ConnectError {
    let server = Scripted::start(Script::Tls(files), OK, OK).await;
    let url =
        format!("postgres://localhost:{}?sslmode=verify-full&sslrootcert={}{more}", server.port(), root.display());
    let error = leg(&connector_to(&url)).await.expect_err("not accepted");
    assert_eq!(server.received().await[0].clear, SSL_REQUEST);
    error
}

#[tokio::test]
async fn each_problem_of_a_certificate_has_words_and_a_hint() {
    let authority = Authority::new("ca");
    // Of the same name.
    let stranger = Authority::new("ca");
    let issue = |change: &dyn Fn(&mut CertificateParams)| authority.issue_with("localhost", change);
    let critical = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let rows = [
        (
            issue(&|params| params.subject_alt_names.clear()),
            "it names no host in subjectAltName",
            "subjectAltName has it",
        ),
        (authority.issue("db.elsewhere"), "not for localhost but for db.elsewhere", "host name of the certificate"),
        (issue(&|params| params.not_after = date_time_ymd(2002, 1, 1)), "it has expired", "Renew"),
        (issue(&critical), "critical extension", "openssl x509 -text"),
        (
            issue(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            "not say that it is for servers (serverAuth)",
            "extendedKeyUsage=serverAuth",
        ),
        (
            issue(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "marked as an authority (CA:TRUE)",
            "Name this very certificate in sslrootcert",
        ),
        (authority.issue_version_1("localhost"), "X.509 version 1", "-extfile"),
        (authority.self_signed("localhost"), "signed by nobody but itself", "Name this very certificate"),
        (stranger.issue("localhost"), "no authority in sslrootcert signed it", "the file of sslrootcert"),
        (below(&authority, |_| {}), "that is no authority (CA:FALSE) signed it", "CA:TRUE"),
        (
            below(&authority, |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                let only = GeneralSubtree::DnsName("db.elsewhere".into());
                let permitted = NameConstraints { permitted_subtrees: vec![only], excluded_subtrees: Vec::new() };
                params.name_constraints = Some(permitted);
            }),
            "may not sign for this name",
            "signed by an authority that may",
        ),
    ];
    for (files, said, hint) in rows {
        let error = refused(files, &authority.root(), "").await;
        assert!(matches!(error, ConnectError::Certificate { .. }), "{said}: {error:?}");
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(error.hint().contains(hint), "{hint}: {}", error.hint());
    }
}

/// A server's certificate that is signed by one below the authority.
fn below(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> ClientTls {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "in between");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let between = params.signed_by(&key, &authority.issuer).unwrap().pem();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = KeyPair::generate().unwrap();
    let signed = leaf.signed_by(&own, &Issuer::new(params, key)).unwrap();
    authority.write(&(signed.pem() + &between), &own)
}

#[test]
fn a_short_key_is_called_short() {
    let authority = Authority::new("ca");
    let good = CertificateDer::from_pem_file(authority.issue("localhost").cert).unwrap();
    for (bits, expected) in [(1024, Problem::WeakKey { bits: 1024 }), (2048, Problem::NoProof)] {
        let certificate = der::rsa(&good, authority.issuer.key(), bits);
        let error = verifier::unproven(rustls::CertificateError::BadSignature.into(), &certificate);
        let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(other.0.downcast_ref::<Problem>(), Some(&expected));
    }
}

#[tokio::test]
async fn revocation_lists_come_from_a_file_or_a_directory() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = Authority::with(params);
    let directory = authority.root().with_file_name("lists");
    std::fs::create_dir(&directory).unwrap();
    let list = |name: &str, revoked: &[u64], next: i32| {
        let revoked = revoked.iter().map(|serial| rcgen::RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(directory.join(name), list.signed_by(&authority.issuer).unwrap().pem().unwrap()).unwrap();
    };
    let numbered = |serial: u64| {
        authority.issue_with("localhost", |params| params.serial_number = Some(SerialNumber::from(serial)))
    };
    let file = format!("&sslcrl={}", directory.join("0123abcd.r0").display());
    let whole = format!("&sslcrldir={}", directory.display());

    for more in [&file, &whole] {
        list("0123abcd.r0", &[7], 2900);
        let error = refused(numbered(7), &authority.root(), more).await;
        assert!(matches!(error, ConnectError::Certificate { problem: Problem::Revoked, .. }), "{error}");
        list("0123abcd.r0", &[7], 2021);
        let error = refused(numbered(8), &authority.root(), more).await;
        assert!(matches!(error, ConnectError::Certificate { problem: Problem::OldRevocationList, .. }), "{error}");
        let stranger = Authority::new("stranger");
        list("0123abcd.r0", &[7], 2900);
        let error = refused(stranger.issue("localhost"), &stranger.root(), more).await;
        assert!(matches!(error, ConnectError::Certificate { problem: Problem::NoRevocationStatus, .. }), "{error}");
        let server = Scripted::start(Script::Tls(numbered(8)), OK, OK).await;
        let root = authority.root();
        let url =
            format!("postgres://localhost:{}?sslmode=verify-ca&sslrootcert={}{more}", server.port(), root.display());
        let connector = connector_to(&url);
        assert_eq!(leg(&connector).await.unwrap(), Leg::Tls);
        assert_eq!(connector.ends().revocations, Some(date_time_ymd(2900, 1, 1).unix_timestamp()));
    }
    std::fs::remove_file(directory.join("0123abcd.r0")).unwrap();
    let url = format!("postgres://db?sslmode=verify-ca&sslrootcert={}{whole}", authority.root().display());
    let error = Connector::new(&Upstream::parse(&url).unwrap(), PATIENCE).expect_err("no list");
    assert!(error.to_string().contains("no file in it"), "{error}");
}

/// A server that wants a certificate of this authority's, on one protocol version.
async fn wants_a_certificate(
    files: &ClientTls,
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> (u16, tokio::task::JoinHandle<Option<Vec<u8>>>) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.root()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), accept::provider()).build().unwrap();
    let chain = CertificateDer::pem_file_iter(&files.cert).unwrap().map(Result::unwrap).collect();
    let config = rustls::ServerConfig::builder_with_provider(accept::provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        packet(&mut socket).await.unwrap();
        socket.write_all(b"S").await.unwrap();
        let mut stream = acceptor.accept(socket).await.ok()?;
        let shown = stream.get_ref().1.peer_certificates().map(|chain| chain[0].to_vec());
        let _ = stream.write_all(OK).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        shown
    });
    (port, task)
}

#[tokio::test]
async fn the_proxy_shows_its_certificate_and_says_what_the_server_makes_of_it() {
    let (ours, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let server = ours.issue("localhost");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (client, expected) in [
            (Some(ours.issue("portcullis")), None),
            (Some(stranger.issue("portcullis")), Some("no authority that it knows signed the certificate in sslcert")),
            (None, Some("it wants a certificate of the proxy's")),
        ] {
            let (port, task) = wants_a_certificate(&server, &ours, version).await;
            let files = |files: &ClientTls| format!("&sslcert={}&sslkey={}", files.cert.display(), files.key.display());
            let more = client.as_ref().map(files).unwrap_or_default();
            let connector = connector_to(&format!("postgres://localhost:{port}?sslmode=require{more}"));
            // With TLS 1.3 the server's word comes when the handshake is over here.
            let error = match connector.ways().connect().await {
                Err(error) => Some(error),
                Ok(mut connected) => match connected.stream.read(&mut [0; 16]).await {
                    Ok(_) => None,
                    Err(error) => late_alert(&connected.destination.address, &error),
                },
            };
            match (expected, &client) {
                (None, Some(client)) => {
                    assert!(error.is_none(), "{error:?}");
                    let own = CertificateDer::from_pem_file(&client.cert).unwrap();
                    assert_eq!(task.await.unwrap().as_deref(), Some(own.as_ref()));
                }
                (Some(words), _) => {
                    let error = error.unwrap_or_else(|| panic!("{words}"));
                    assert!(error.to_string().contains(words), "{version:?}: {error}");
                    assert!(error.hint().contains("sslcert and sslkey"), "{}", error.hint());
                }
                (None, None) => unreachable!("every row without a certificate expects words"),
            }
        }
    }
}

#[test]
fn a_key_that_others_may_read_is_refused_as_by_libpq() {
    let authority = Authority::new("ca");
    let files = authority.issue("portcullis");
    let url = format!("postgres://db?sslmode=require&sslcert={}&sslkey={}", files.cert.display(), files.key.display());
    let read = || Connector::new(&Upstream::parse(&url).unwrap(), PATIENCE);
    use std::os::unix::fs::MetadataExt;
    let of_root = std::fs::metadata(&files.key).unwrap().uid() == 0;
    for (mode, accepted) in [
        (0o600, true),
        (0o400, true),
        (0o640, of_root),
        (0o440, of_root),
        (0o660, false),
        (0o604, false),
        (0o644, false),
    ] {
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
        match read() {
            Ok(_) => assert!(accepted, "{mode:o}"),
            Err(error @ TlsFileError::OpenKey { .. }) => {
                assert!(!accepted && error.to_string().contains(&format!("mode {mode:04o}")), "{error}");
            }
            Err(other) => panic!("{mode:o}: {other}"),
        }
    }
    let directory = files.key.parent().unwrap().display().to_string();
    let url = format!("postgres://db?sslmode=require&sslcert={}&sslkey={directory}", files.cert.display());
    let error = Connector::new(&Upstream::parse(&url).unwrap(), PATIENCE).expect_err("a directory");
    assert!(error.to_string().contains("must be a regular file"), "{error}");
}

#[test]
fn an_encrypted_key_is_called_so() {
    let authority = Authority::new("ca");
    let files = authority.issue("portcullis");
    // What is inside does not matter: nobody looks.
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n",
    ] {
        std::fs::write(&files.key, text).unwrap();
        let url =
            format!("postgres://db?sslmode=require&sslcert={}&sslkey={}", files.cert.display(), files.key.display());
        let error = Connector::new(&Upstream::parse(&url).unwrap(), PATIENCE).expect_err("encrypted");
        assert!(matches!(error, TlsFileError::EncryptedKey(_)), "{error}");
        assert!(error.to_string().contains("openssl pkey"), "{error}");
    }
}

#[tokio::test]
async fn direct_tls_needs_the_word_of_the_protocol() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let root = authority.root();
    for (script, expected) in [
        (Script::Direct(files.clone(), b"postgresql"), None),
        (Script::Direct(files.clone(), b""), Some("did not confirm that PostgreSQL is inside")),
        // rustls on the other side refuses by itself.
        (Script::Direct(files.clone(), b"http/1.1"), Some("does not speak PostgreSQL there (ALPN)")),
        // As an older server does it.
        (Script::Close, Some("did not take TLS from the first byte")),
    ] {
        let server = Scripted::start(script, OK, OK).await;
        let url = format!(
            "postgres://localhost:{}?sslmode=verify-full&sslnegotiation=direct&sslrootcert={}",
            server.port(),
            root.display()
        );
        let outcome = leg(&connector_to(&url)).await;
        match expected {
            None => assert_eq!(outcome.unwrap(), Leg::Tls),
            Some(words) => {
                let error = outcome.expect_err(words);
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        let received = server.received().await;
        assert!(!received.iter().any(|one| one.clear.starts_with(&SSL_REQUEST)), "nobody asks");
    }
}

#[tokio::test]
async fn the_newest_version_may_be_forbidden() {
    let authority = Authority::new("ca");
    for (more, version) in [
        ("&ssl_max_protocol_version=TLSv1.2", "TLSv1.2"),
        ("&ssl_min_protocol_version=TLSv1.3", "TLSv1.3"),
        ("&sslsni=0", "TLSv1.3"),
    ] {
        let server = Scripted::start(Script::Tls(authority.issue("localhost")), OK, OK).await;
        let connector = connector_to(&format!("postgres://localhost:{}?sslmode=require{more}", server.port()));
        let connected = connector.ways().connect().await.unwrap();
        assert_eq!(connected.tls.unwrap().version, version);
    }
}

#[tokio::test]
async fn a_certificate_of_version_1_proves_its_key_in_both_versions_of_tls() {
    let authority = Authority::new("ca");
    let (files, other) = (authority.issue_version_1("localhost"), authority.issue_version_1("localhost"));
    for version in ["TLSv1.2", "TLSv1.3"] {
        for (files, proven) in [(files.clone(), true), (ClientTls::new(files.cert.clone(), other.key.clone()), false)] {
            let server = Scripted::start(Script::Tls(files), OK, OK).await;
            let url =
                format!("postgres://localhost:{}?sslmode=require&ssl_max_protocol_version={version}", server.port());
            let min = if version == "TLSv1.3" { "&ssl_min_protocol_version=TLSv1.3" } else { "" };
            let outcome = leg(&connector_to(&(url + min))).await;
            match outcome {
                Ok(leg) => assert!(proven && leg == Leg::Tls),
                Err(ConnectError::Certificate { problem: Problem::NoProof, .. }) => assert!(!proven, "{version}"),
                Err(other) => panic!("{version}: {other}"),
            }
        }
    }
}
