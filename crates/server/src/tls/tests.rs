//! Handshakes with all kinds of peers, and what is told of them.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::TlsConnector;

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key.
type Paper = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// For these names; for a day, or until yesterday.
    fn paper(&self, names: &[&str], expired: bool) -> Paper {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.contains("://") {
                true => SanType::URI((*name).try_into().unwrap()),
                false => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if expired {
            params.not_after = rcgen::date_time_ymd(2024, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            certificate.der().clone(),
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
    }

    fn believed(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

/// A listener for gRPC.
fn tls((certificate, key): Paper, clients: Option<Clients>) -> (Tls, Handshakes) {
    let identity = Identity::new(vec![certificate], key, clients, Alpn::Http2).unwrap();
    let tls = Tls::new(&Identities::from([("listen.envoy_grpc".to_owned(), identity)]));
    let mut handshakes = tls.of("listen.envoy_grpc").unwrap();
    assert!(tls.of("admin").is_none());
    handshakes.patience = Duration::from_millis(500);
    (tls, handshakes)
}

fn client(roots: RootCertStore, paper: Option<Paper>, alpn: &[&str]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match paper {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// True if both ends agree, and a byte goes through.
async fn agree(handshakes: &Handshakes, config: ClientConfig) -> bool {
    let (ours, theirs) = duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(config));
    let asking = async {
        let mut stream = connector
            .connect(ServerName::try_from("gate.test").unwrap(), theirs)
            .await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await
    };
    let answering = async {
        let mut stream = handshakes.shake(ours).await?;
        let byte = stream.read_u8().await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        Ok::<_, io::Error>(byte)
    };
    let (asked, answered) = tokio::join!(asking, answering);
    let agreed = answered.is_ok_and(|byte| byte == b'?');
    assert_eq!(
        asked.is_ok(),
        agreed,
        "one end believes it, and the other does not"
    );
    agreed
}

#[tokio::test]
async fn whose_connections_are_taken() {
    let (ours, other) = (Authority::new(), Authority::new());
    let named = |names: &[&str]| Clients {
        authorities: vec![ours.certificate.clone()],
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let spiffe = "spiffe://cluster.test/ns/ingress/sa/envoy";
    let names = [spiffe, "envoy.test"];
    let good = |names: &[&str]| Some(ours.paper(names, false));
    for (what, clients, paper, taken) in [
        ("nobody needs one", None, None, true),
        ("one that nobody needs", None, good(&[]), true),
        ("none", Some(named(&[])), None, false),
        ("one", Some(named(&[])), good(&["a.test"]), true),
        (
            "of somebody else",
            Some(named(&[])),
            Some(other.paper(&["a.test"], false)),
            false,
        ),
        (
            "expired",
            Some(named(&[])),
            Some(ours.paper(&["a.test"], true)),
            false,
        ),
        ("the URI", Some(named(&names)), good(&[spiffe]), true),
        (
            "a longer URI",
            Some(named(&names)),
            good(&[&format!("{spiffe}2")]),
            false,
        ),
        (
            "the DNS name",
            Some(named(&names)),
            good(&["x.test", "Envoy.test"]),
            true,
        ),
        ("another name", Some(named(&names)), good(&["x.test"]), false),
        ("all names", Some(named(&names)), good(&["*.test"]), false),
        ("no name", Some(named(&names)), good(&[]), false),
        (
            "the name, by somebody else",
            Some(named(&names)),
            Some(other.paper(&[spiffe], false)),
            false,
        ),
        (
            "the name, expired",
            Some(named(&names)),
            Some(ours.paper(&[spiffe], true)),
            false,
        ),
    ] {
        let (_, handshakes) = tls(ours.paper(&["gate.test"], false), clients);
        let client = client(ours.believed(), paper, &["h2"]);
        assert_eq!(agree(&handshakes, client).await, taken, "{what}");
    }
}

#[tokio::test]
async fn what_is_spoken() {
    let ours = Authority::new();
    let (tls, handshakes) = tls(ours.paper(&["gate.test"], false), None);
    for (what, alpn, versions, agreed) in [
        ("HTTP/2", &["h2"][..], &[&TLS13][..], true),
        ("the older version", &["h2"], &[&TLS12], true),
        ("both", &["http/1.1", "h2"], &[&TLS12, &TLS13], true),
        ("it does not say", &[], &[&TLS13], true),
        ("HTTP/1.1", &["http/1.1"], &[&TLS13], false),
    ] {
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder = builder.unwrap().with_root_certificates(ours.believed());
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(agree(&handshakes, config).await, agreed, "{what}");
    }
    assert_eq!(tls.told()[0].failed, 1);
}

/// A ClientHello of TLS 1.1 with a cipher suite that was usual then.
fn tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let mut message = vec![22, 3, 1];
    message.extend(length(hello.len() + 4));
    message.extend([1, 0]);
    message.extend(length(hello.len()));
    message.extend(hello);
    message
}

#[tokio::test]
async fn what_is_no_handshake_ends_and_is_counted() {
    let ours = Authority::new();
    let (tls, handshakes) = tls(ours.paper(&["gate.test"], false), None);
    let old = tls_1_1();
    let peers: [(&str, &[u8]); 6] = [
        ("silence", b""),
        ("half a record", b"\x16\x03\x01\x02\x00\x01"),
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("garbage", &[0xff; 400]),
        ("TLS 1.1", &old),
    ];
    for (number, (what, bytes)) in (1..).zip(peers) {
        let (ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(bytes).await.unwrap();
        assert!(handshakes.shake(ours).await.is_err(), "{what}");
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        // Nothing, or an alert.
        assert!(matches!(answer.first(), None | Some(21)), "{what}: {answer:?}");
        assert_eq!(tls.told()[0].failed, number, "{what}");
    }
}

#[tokio::test]
async fn other_files_count_for_connections_from_then_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let (tls, handshakes) = tls(old.paper(&["gate.test"], false), None);
    let steady = BTreeSet::from(["listen.envoy_grpc".to_owned()]);
    let believing = |authority: &Authority| client(authority.believed(), None, &["h2"]);
    for (authority, other) in [(&new, &old), (&old, &new)] {
        assert!(agree(&handshakes, believing(other)).await);
        let (certificate, key) = authority.paper(&["gate.test"], false);
        let identity = Identity::new(vec![certificate], key, None, Alpn::Http2).unwrap();
        let new = Identities::from([("listen.envoy_grpc".to_owned(), identity)]);
        assert_eq!(tls.replace(&new, &steady), Vec::<&str>::new());
        assert!(agree(&handshakes, believing(authority)).await);
        assert!(!agree(&handshakes, believing(other)).await);
    }
    // A listener that is not named goes on with what it has.
    tls.replace(&Identities::new(), &steady);
    assert!(agree(&handshakes, believing(&old)).await);
}

#[test]
fn less_is_never_demanded_of_clients_while_it_runs() {
    let ours = Authority::new();
    let clients = |names: &[&str]| {
        Some(Clients {
            authorities: vec![ours.certificate.clone()],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        })
    };
    let steady = BTreeSet::from(["listen.envoy_grpc".to_owned()]);
    let moved = BTreeSet::new();
    for (what, before, after, steady, replaced) in [
        ("renewed", None, None, &steady, true),
        (
            "renewed, with clients",
            clients(&["a.test"]),
            clients(&["a.test"]),
            &steady,
            true,
        ),
        ("a certificate from now on", None, clients(&[]), &steady, true),
        (
            "names from now on",
            clients(&[]),
            clients(&["a.test"]),
            &steady,
            true,
        ),
        (
            "other names",
            clients(&["a.test"]),
            clients(&["b.test"]),
            &steady,
            true,
        ),
        ("no certificate", clients(&[]), None, &steady, false),
        ("no name", clients(&["a.test"]), clients(&[]), &steady, false),
        ("neither", clients(&["a.test"]), None, &steady, false),
        ("another listener", None, None, &moved, false),
        ("another one that demands more", None, clients(&[]), &moved, false),
    ] {
        let (tls, _) = tls(ours.paper(&["gate.test"], false), before);
        let (certificate, key) = ours.paper(&["gate.test"], false);
        let identity = Identity::new(vec![certificate], key, after, Alpn::Http2).unwrap();
        let new = Identities::from([("listen.envoy_grpc".to_owned(), identity.clone())]);
        for again in [false, true] {
            let waiting = tls.replace(&new, steady);
            assert_eq!(waiting.is_empty(), replaced, "{what}, again: {again}");
            let now = tls.0["listen.envoy_grpc"].identity();
            assert_eq!(now == identity, replaced, "{what}, again: {again}");
        }
    }
}

#[test]
fn an_identity_is_the_same_if_its_files_are() {
    let ours = Authority::new();
    let (one, two) = (ours.paper(&["a.test"], false), ours.paper(&["a.test"], false));
    let clients = |name: &str| Clients {
        authorities: vec![ours.certificate.clone()],
        names: vec![name.to_owned()],
    };
    let identity = |paper: &Paper, clients| {
        Identity::new(vec![paper.0.clone()], paper.1.clone_key(), clients, Alpn::Any).unwrap()
    };
    let all = [
        identity(&one, None),
        identity(&two, None),
        identity(&one, Some(clients("a.test"))),
        identity(&one, Some(clients("b.test"))),
    ];
    for (i, left) in all.iter().enumerate() {
        for (j, right) in all.iter().enumerate() {
            assert_eq!(left == right, i == j, "{i} and {j}");
        }
    }
    assert!(identity(&one, None) == all[0]);
    let wrong = Identity::new(vec![one.0], two.1, None, Alpn::Any);
    assert!(matches!(wrong, Err(Unusable::OtherKey)), "{wrong:?}");
}
