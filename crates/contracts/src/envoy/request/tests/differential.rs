//! Our reader against the generated one, on random messages and random damage.
//!
//! Two references: the generated types, for what the fields mean, and [`twin`], for the wire. What both we and the
//! generated types read is the same; we refuse what the twin refuses and nothing else. Where we differ on purpose,
//! [`check_bytes`] says so.

mod random;
mod twin;

use proptest::collection::vec;
use proptest::prelude::*;
use proto::google::protobuf::{Struct, value::Kind};

use random::{damage, request};

use super::*;
use crate::wire::WireError;

/// What was read, in the words of neither side.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    source: (Vec<u8>, u32),
    source_principal: Vec<u8>,
    destination: (Vec<u8>, u32),
    sni: Vec<u8>,
    /// Method, path, query, host, scheme, body, raw body.
    http: Option<[Vec<u8>; 7]>,
    headers: Vec<Pair>,
    context_extensions: Vec<Pair>,
    filter_metadata: Vec<Pair>,
}

type Pair = (Vec<u8>, Vec<u8>);

impl Seen {
    fn by_us(request: &CheckRequest<'_>) -> Self {
        let pairs = |pairs: &[(&[u8], &[u8])]| {
            pairs
                .iter()
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect()
        };
        let http = request.http.as_ref();
        Self {
            source: (request.source.address.to_vec(), request.source.port),
            source_principal: request.source_principal.to_vec(),
            destination: (request.destination.address.to_vec(), request.destination.port),
            sni: request.sni.to_vec(),
            http: http.map(|http| {
                [
                    http.method,
                    http.path,
                    http.query,
                    http.host,
                    http.scheme,
                    http.body,
                    http.raw_body,
                ]
                .map(<[u8]>::to_vec)
            }),
            headers: http.map(|http| pairs(&http.headers)).unwrap_or_default(),
            context_extensions: pairs(&request.context_extensions),
            filter_metadata: pairs(&request.filter_metadata),
        }
    }

    fn by_generated_code(request: &auth::CheckRequest) -> Self {
        let Some(attributes) = &request.attributes else {
            return Self::default();
        };
        let socket = |peer: &Option<context::Peer>| match peer.as_ref()?.address.as_ref()?.address.as_ref()? {
            core::address::Address::SocketAddress(socket) => {
                Some((socket.address.clone().into(), socket.port_value))
            }
            core::address::Address::Pipe(_) => None,
        };
        let bytes = |pairs: &std::collections::BTreeMap<String, String>| -> Vec<Pair> {
            pairs
                .iter()
                .map(|(key, value)| (key.clone().into(), value.clone().into()))
                .collect()
        };
        let http = attributes
            .request
            .as_ref()
            .and_then(|request| request.http.as_ref());
        let metadata = attributes
            .metadata_context
            .iter()
            .flat_map(|metadata| &metadata.filter_metadata);
        Self {
            source: socket(&attributes.source).unwrap_or_default(),
            source_principal: attributes
                .source
                .as_ref()
                .map(|peer| peer.principal.clone().into())
                .unwrap_or_default(),
            destination: socket(&attributes.destination).unwrap_or_default(),
            sni: attributes
                .tls_session
                .as_ref()
                .map(|tls| tls.sni.clone().into())
                .unwrap_or_default(),
            http: http.cloned().map(|http| {
                [
                    http.method.into(),
                    http.path.into(),
                    http.query.into(),
                    http.host.into(),
                    http.scheme.into(),
                    http.body.into(),
                    http.raw_body.into(),
                ]
            }),
            headers: http.map_or_else(Vec::new, |http| {
                let list = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
                    let raw = !header.raw_value.is_empty();
                    let value = if raw {
                        header.raw_value.to_vec()
                    } else {
                        header.value.clone().into()
                    };
                    (header.key.clone().into(), value)
                });
                bytes(&http.headers).into_iter().chain(list).collect()
            }),
            context_extensions: bytes(&attributes.context_extensions),
            filter_metadata: metadata
                .map(|(key, value)| (key.clone().into(), value.encode_to_vec()))
                .collect(),
        }
    }

    /// In an order that does not tell which entry came first.
    fn sorted(mut self) -> Self {
        for pairs in [
            &mut self.headers,
            &mut self.context_extensions,
            &mut self.filter_metadata,
        ] {
            pairs.sort();
        }
        self
    }

    fn scalars(self) -> Self {
        Self {
            headers: Vec::new(),
            context_extensions: Vec::new(),
            filter_metadata: Vec::new(),
            ..self
        }
    }
}

/// Reads any bytes with all three readers and compares what they say.
fn check_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let ours = CheckRequest::parse(bytes);
    let twin = twin::read(bytes);
    let generated = auth::CheckRequest::decode(bytes);
    match &ours {
        Ok(request) => {
            let ours = Seen::by_us(request);
            prop_assert_eq!(Some(ours.clone().sorted()), twin.ok().map(Seen::sorted));
            // The generated code also refuses text that is not UTF-8, and looks into what we never read.
            if let Ok(generated) = generated {
                let generated = Seen::by_generated_code(&generated);
                prop_assert_eq!(ours.clone().scalars(), generated.clone().scalars());
                check_entries(&ours.headers, &generated.headers)?;
                check_entries(&ours.context_extensions, &generated.context_extensions)?;
            }
        }
        // Nobody writes groups or entries with two values. Prost skips the ones and takes the last of the others.
        Err(WireError::Entry) => {}
        Err(WireError::Key(key)) if key & 7 == 3 => {}
        // Not compared with the generated code: prost does not look at the wire type of a map.
        Err(error) => prop_assert!(twin.is_err(), "{} {:?}", error, twin),
    }
    // Whatever it is, it ends in a check or in a refusal, and no question about it panics.
    if let Ok(request) = CheckRequest::read(bytes)
        && let Ok(check) = request.check(Call::default(), ListenerOptions::default())
    {
        for namespace in ["", "a", "jwt"] {
            for at in [&["a".into()][..], &["a".into(), "b".into()]] {
                let _ = check.metadata.string(namespace, at);
            }
        }
    }
    Ok(())
}

/// All that is theirs is ours; what only we have is a map's entry that a later one of the same key replaced.
fn check_entries(ours: &[Pair], theirs: &[Pair]) -> Result<(), TestCaseError> {
    for pair in theirs {
        prop_assert!(ours.contains(pair), "{:?} is missing in {:?}", pair, ours);
    }
    for (index, pair) in ours.iter().enumerate() {
        let replaced = || ours[index + 1..].iter().any(|later| later.0 == pair.0);
        prop_assert!(
            theirs.contains(pair) || replaced(),
            "{:?} is not in {:?}",
            pair,
            theirs
        );
    }
    Ok(())
}

fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(1_000),
        failure_persistence: None,
        ..asked
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_the_generated_code_writes_is_read(request in request()) {
        let bytes = request.encode_to_vec();
        let ours = CheckRequest::parse(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(Seen::by_us(&ours), Seen::by_generated_code(&request));
        check_metadata(&ours, &request)?;
        check_bytes(&bytes)?;
    }

    #[test]
    fn messages_in_a_row_are_one_message(requests in vec(request(), 2..4)) {
        let bytes: Vec<_> = requests.iter().flat_map(Message::encode_to_vec).collect();
        prop_assert_eq!(CheckRequest::parse(&bytes).err(), None);
        check_bytes(&bytes)?;
    }

    #[test]
    fn damage_is_seen_by_all_alike(request in request(), damage in vec(damage(), 1..4)) {
        let bytes = damage.iter().fold(request.encode_to_vec(), |bytes, damage| damage.done_to(bytes));
        check_bytes(&bytes)?;
    }

    #[test]
    fn noise_is_seen_by_all_alike(noise in vec(prop_oneof![any::<u8>(), 0_u8..0x70, Just(0x0A)], 0..80)) {
        check_bytes(&noise)?;
        // The same where it hurts: as an HTTP request.
        let (length, mut bytes) = (u8::try_from(noise.len()).unwrap(), Vec::new());
        bytes.extend_from_slice(&[0x0A, length + 4, 0x22, length + 2, 0x12, length]);
        bytes.extend_from_slice(&noise);
        check_bytes(&bytes)?;
    }
}

/// Every string in the metadata is found, and no string where there is none.
fn check_metadata(ours: &CheckRequest<'_>, request: &auth::CheckRequest) -> Result<(), TestCaseError> {
    let attributes = request.attributes.as_ref();
    for (namespace, facts) in attributes
        .iter()
        .filter_map(|it| it.metadata_context.as_ref())
        .flat_map(|it| &it.filter_metadata)
    {
        check_struct(ours, namespace, &mut Vec::new(), facts)?;
    }
    Ok(())
}

fn check_struct(
    ours: &CheckRequest<'_>,
    namespace: &str,
    at: &mut Vec<Box<str>>,
    facts: &Struct,
) -> Result<(), TestCaseError> {
    use model::Metadata as _;
    for (name, value) in &facts.fields {
        at.push(name.as_str().into());
        let expected = match &value.kind {
            Some(Kind::StringValue(text)) => Some(text.clone()),
            _ => None,
        };
        prop_assert_eq!(ours.string(namespace, at), expected, "{} {:?}", namespace, at);
        if let Some(Kind::StructValue(inner)) = &value.kind {
            check_struct(ours, namespace, at, inner)?;
        }
        at.pop();
    }
    Ok(())
}
