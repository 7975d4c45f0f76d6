//! URLs of the upstream as libpq reads them, and what every mistake is told.

use super::*;

fn parse(text: &str) -> Upstream {
    Upstream::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn hosts_are_named_as_libpq_names_them() {
    for (url, expected) in [
        ("postgres://db", "db:5432"),
        ("postgresql://db.internal:6000/", "db.internal:6000"),
        ("postgres://[::1]:5433", "[::1]:5433"),
        ("postgres://10.1.2.3", "10.1.2.3:5432"),
        ("postgres://DB_1", "DB_1:5432"),
        ("postgres://a:1,b:2,c", "a:1 b:2 c:5432"),
        ("postgres://a,b:2?sslmode=require", "a:5432 b:2"),
        ("postgres://[::1],[fe80::1]:6", "[::1]:5432 [fe80::1]:6"),
        // One port holds for all hosts.
        ("postgres://a,b?port=6", "a:6 b:6"),
        ("postgres:///?host=a,b&port=1,2", "a:1 b:2"),
        ("postgres://?host=a,b&port=1,", "a:1 b:5432"),
        ("postgres:///?host=/run/postgresql&port=5433", "/run/postgresql/.s.PGSQL.5433"),
        ("postgres://%2Frun%2Fpostgresql:5433", "/run/postgresql/.s.PGSQL.5433"),
        ("postgres://%2Frun%2Fpostgresql,db", "/run/postgresql/.s.PGSQL.5432 db:5432"),
        ("postgres:///?hostaddr=10.1.2.3,::1", "10.1.2.3:5432 [::1]:5432"),
        ("postgres://a,b?hostaddr=10.1.2.3,", "a:5432 b:5432"),
    ] {
        let hosts: Vec<String> = parse(url).hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts.join(" "), expected, "{url}");
    }
}

#[test]
fn an_address_spares_the_resolver_and_the_name_stays_for_tls() {
    let upstream = parse("postgres://db.internal,b?hostaddr=10.1.2.3,&sslmode=verify-full&sslrootcert=ca.crt");
    let named = Place::Address { address: [10, 1, 2, 3].into(), name: Some("db.internal".into()) };
    assert_eq!(upstream.hosts[0].place, named);
    assert_eq!(upstream.hosts[1].place, Place::Name("b".into()));
    assert_eq!(upstream.hosts[0].tls_name().as_deref(), Some("db.internal"));
    assert_eq!(parse("postgres:///?hostaddr=10.1.2.3").hosts[0].tls_name().as_deref(), Some("10.1.2.3"));
}

#[test]
fn only_unix_sockets_need_no_tls() {
    assert!(!parse("postgres:///?host=/run/postgresql").has_network());
    assert!(parse("postgres://%2Frun%2Fpostgresql,db").has_network());
    assert_eq!(parse("postgres:///?host=/run").hosts[0].tls_name(), None);
}

#[test]
fn parameters_mean_what_they_mean_in_libpq() {
    assert_eq!(parse("postgres://db").sslmode, SslMode::Prefer);
    assert_eq!(parse("postgres://db?sslmode=require").sslmode, SslMode::Require);
    assert_eq!(parse("postgres://db?sslmode=require&sslrootcert=ca.crt").sslmode, SslMode::VerifyCa);
    let system = parse("postgres://db?sslrootcert=system");
    assert_eq!((system.sslmode, system.root), (SslMode::VerifyFull, Some(RootCert::System)));
    let all = parse(
        "postgres://a,b?sslmode=verify-ca&sslrootcert=/a%20b+c/ca.crt&sslcert=c.crt&sslkey=c.key&sslcrl=l.crl\
         &sslcrldir=crls&ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3&connect_timeout=3\
         &sslnegotiation=direct&sslsni=0&gssencmode=disable&load_balance_hosts=random\
         &target_session_attrs=prefer-standby&keepalives=1&keepalives_idle=60&keepalives_interval=5\
         &keepalives_count=3&tcp_user_timeout=30000",
    );
    assert_eq!(all.root, Some(RootCert::File("/a b+c/ca.crt".into())));
    assert_eq!(all.client_cert, Some(("c.crt".into(), "c.key".into())));
    assert_eq!((all.crl, all.crl_directory), (Some("l.crl".into()), Some("crls".into())));
    assert_eq!(all.tls_versions, (TlsVersion::V1_3, TlsVersion::V1_3));
    assert_eq!((all.direct, all.sni, all.shuffle), (true, false, true));
    assert_eq!(all.target, TargetSessionAttrs::PreferStandby);
    assert_eq!(all.connect_timeout, Some(Duration::from_secs(3)));
    let keepalives = Keepalives {
        on: true,
        how: Keepalive {
            idle: Some(Duration::from_secs(60)),
            interval: Some(Duration::from_secs(5)),
            count: Some(3),
            user_timeout: Some(Duration::from_secs(30)),
        },
    };
    assert_eq!(all.keepalives, keepalives);

    let most = "keepalives_idle=32767&keepalives_interval=32767&keepalives_count=127&tcp_user_timeout=2147483647";
    assert_eq!(parse(&format!("postgres://db?{most}")).keepalives.how.count, Some(127));

    let none = parse("postgres://db?keepalives_idle=0");
    assert_eq!((none.direct, none.sni, none.shuffle), (false, true, false));
    assert_eq!((none.target, none.keepalives.on, none.keepalives.how.idle), (TargetSessionAttrs::Any, true, None));
    assert_eq!(none.tls_versions, (TlsVersion::V1_2, TlsVersion::V1_3));
}

#[test]
fn a_mistake_says_what_to_change() {
    let long = format!("postgres:///?host=/{}", "x".repeat(100));
    for (text, expected) in [
        ("db:5432", "postgres://"),
        ("mysql://db", "write postgres://"),
        ("postgres:///", "names no host"),
        ("postgres://", "names no host"),
        ("postgres://a,", "names no host"),
        ("postgres://:5433", "names no host"),
        ("postgres://a b", "a character that no host name has"),
        ("postgres://@db%2C", "a character that no host name has"),
        ("postgres://[::1", "write [address]:port"),
        ("postgres://db:0", "a number from 1 to 65535"),
        ("postgres://db:65536", "a number from 1 to 65535"),
        ("postgres://db:postgres", "a number from 1 to 65535"),
        ("postgres://a,b?port=1,2,3", "2 hosts and 3 values of `port`"),
        ("postgres://a,b?hostaddr=10.1.2.3", "2 hosts and 1 values of `hostaddr`"),
        ("postgres://db?hostaddr=db", "is no IP address"),
        ("postgres://a?host=b", "`host` is written twice in the upstream's URL"),
        ("postgres://a:1?port=2", "is written twice"),
        ("postgres:///?host=@x", "abstract Unix sockets"),
        ("postgres:///?host=/run&hostaddr=10.1.2.3", "a Unix socket has no hostaddr"),
        (&long, "107 bytes"),
        ("postgres://shop@db", "has a user"),
        ("postgres://shop:hunter2@db", "has a password"),
        ("postgres://shop:hunter2/x@db", "has a password"),
        ("postgres://shop:1hunter2?x@db", "has a password"),
        ("postgres://db/shop", "has a database"),
        ("postgres://db?user=shop", "has a user"),
        ("postgres://db?password=hunter2", "has a password"),
        ("postgres://db?password=%zhunter2", "is written %25"),
        ("postgres://db?dbname=shop", "has a database"),
        ("postgres://db#x", "is written %23"),
        ("postgres://d%00b", "%00"),
        ("postgres://d%ffb", "no UTF-8"),
        ("postgres://db?sslmod=require", "did you mean `sslmode`?"),
        ("postgres://db?sslmode=full", "verify-full"),
        ("postgres://db?sslmode", "`sslmode` in the upstream's URL has no value"),
        ("postgres://db?sslmode=require&sslrootcert=", "`sslrootcert` in the upstream's URL has no value"),
        ("postgres://db?sslmode=require&sslmode=disable", "written twice"),
        ("postgres://db?sslmode=verify-full", "needs sslrootcert"),
        ("postgres://db?sslmode=verify-ca", "needs sslrootcert"),
        ("postgres://db?sslmode=verify-ca&sslrootcert=system", "needs sslmode=verify-full"),
        ("postgres:///?hostaddr=10.1.2.3&sslrootcert=system", "needs the host's name beside hostaddr=10.1.2.3"),
        ("postgres://db?sslcert=c.crt", "`sslkey` is missing"),
        ("postgres://db?sslkey=c.key", "`sslcert` is missing"),
        ("postgres://db?sslnegotiation=direct", "needs sslmode=require or stronger (sslmode=prefer given)"),
        ("postgres://db?sslmode=require&sslnegotiation=tls", "write postgres or direct"),
        ("postgres://db?target_session_attrs=master", "prefer-standby"),
        ("postgres://db?load_balance_hosts=yes", "write disable or random"),
        ("postgres://db?application_name=x", "clients send it"),
        ("postgres://db?options=-crole%3Dx", "clients send it"),
        ("postgres://db?ssl_min_protocol_version=SSLv3", "TLSv1.2 or TLSv1.3"),
        ("postgres://db?ssl_max_protocol_version=TLSv1.1", "nothing older is spoken"),
        ("postgres://db?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "is above"),
        ("postgres://db?connect_timeout=soon", "a whole number"),
        ("postgres://db?connect_timeout=0", "a number of seconds above 0"),
        ("postgres://db?keepalives=yes", "write 0 or 1"),
        ("postgres://db?keepalives_idle=1m", "a whole number"),
        ("postgres://db?keepalives_idle=86400", "write 1 to 32767 seconds"),
        ("postgres://db?keepalives_interval=32768", "write 1 to 32767 seconds"),
        ("postgres://db?keepalives_count=128", "a number from 1 to 127"),
        ("postgres://db?tcp_user_timeout=2147483648", "from 0 to 2147483647"),
        ("postgres://db?tcp_user_timeout=4294967295", "a whole number"),
        ("postgres://db?requirepeer=postgres", "later release"),
        ("postgres://db?gssencmode=require", "later release"),
    ] {
        let said = Upstream::parse(text).expect_err(text).to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn every_parameter_is_known_once() {
    let lists = [KNOWN, LATER, OF_THE_CLIENT].concat();
    for (n, name) in lists.iter().enumerate() {
        assert!(!lists[..n].contains(name), "{name}");
    }
}
