//! Bytes -> [`CheckRequest`]: protobuf's rules, nobody's judgement yet.
//!
//! Fields come in any order, the last of a repeated scalar wins, the parts of a repeated message are merged, unknown
//! fields are skipped, and every message may be missing. It differs from a generated reader in three ways: two map
//! entries with one key are both kept (what needs exactly one refuses then), text that is not UTF-8 is still bytes
//! here, and what nobody reads is not looked into.

use smallvec::SmallVec;

use super::{MAX_HEADERS, MAX_PAIRS};
use crate::wire::{WireError, each, entry};

/// What we read of `envoy.service.auth.v3.CheckRequest`.
#[derive(Debug, Default)]
pub(crate) struct CheckRequest<'a> {
    pub(super) source: Socket<'a>,
    pub(super) source_principal: &'a [u8],
    pub(super) destination: Socket<'a>,
    pub(super) sni: &'a [u8],
    pub(super) http: Option<Http<'a>>,
    pub(super) context_extensions: SmallVec<[Entry<'a>; 4]>,
    pub(super) filter_metadata: SmallVec<[Entry<'a>; 2]>,
}

/// What we read of `AttributeContext.HttpRequest`.
#[derive(Debug, Default)]
pub(super) struct Http<'a> {
    pub(super) method: &'a [u8],
    pub(super) headers: SmallVec<[Entry<'a>; 24]>,
    pub(super) path: &'a [u8],
    pub(super) query: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) scheme: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) raw_body: &'a [u8],
}

/// What we read of `core.v3.SocketAddress`; empty for a Unix socket.
#[derive(Debug, Default)]
pub(super) struct Socket<'a> {
    pub(super) address: &'a [u8],
    pub(super) port: u32,
}

/// A map entry, or a header.
pub(super) type Entry<'a> = (&'a [u8], &'a [u8]);

impl<'a> CheckRequest<'a> {
    /// Reads the message. Of headers, extensions and namespaces one more than the bound is kept.
    // CheckRequest { attributes = 1 }
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut request = Self::default();
        each(message, |(number, value)| match number {
            1 => request.attributes(value.bytes()?),
            _ => Ok(()),
        })?;
        Ok(request)
    }

    // AttributeContext { source = 1, destination = 2, request = 4, context_extensions = 10, metadata_context = 11,
    //                    tls_session = 12 }
    fn attributes(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            1 => self.source(value.bytes()?),
            2 => self.destination(value.bytes()?),
            4 => self.request(value.bytes()?),
            10 => push(&mut self.context_extensions, MAX_PAIRS, entry(value.bytes()?)?),
            // core.v3.Metadata { filter_metadata = 1 }
            11 => each(value.bytes()?, |(number, value)| match number {
                1 => push(&mut self.filter_metadata, MAX_PAIRS, entry(value.bytes()?)?),
                _ => Ok(()),
            }),
            // TLSSession { sni = 1 }
            12 => each(value.bytes()?, |(number, value)| match number {
                1 => set(&mut self.sni, value.bytes()?),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    // Peer { address = 1, principal = 4 }
    fn source(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            1 => self.source.merge(value.bytes()?),
            4 => set(&mut self.source_principal, value.bytes()?),
            _ => Ok(()),
        })
    }

    fn destination(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            1 => self.destination.merge(value.bytes()?),
            _ => Ok(()),
        })
    }

    // Request { http = 2 }: without `http` it says nothing that makes the check one of an HTTP request.
    fn request(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            2 => self.http.get_or_insert_default().merge(value.bytes()?),
            _ => Ok(()),
        })
    }
}

impl<'a> Http<'a> {
    // HttpRequest { method = 2, headers = 3, path = 4, host = 5, scheme = 6, query = 7, body = 11, raw_body = 12,
    //               header_map = 13 }
    fn merge(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            2 => set(&mut self.method, value.bytes()?),
            3 => push(&mut self.headers, MAX_HEADERS, entry(value.bytes()?)?),
            4 => set(&mut self.path, value.bytes()?),
            5 => set(&mut self.host, value.bytes()?),
            6 => set(&mut self.scheme, value.bytes()?),
            7 => set(&mut self.query, value.bytes()?),
            11 => set(&mut self.body, value.bytes()?),
            12 => set(&mut self.raw_body, value.bytes()?),
            // core.v3.HeaderMap { headers = 1 }
            13 => each(value.bytes()?, |(number, value)| match number {
                1 => push(&mut self.headers, MAX_HEADERS, header_value(value.bytes()?)?),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }
}

impl<'a> Socket<'a> {
    // core.v3.Address { oneof: socket_address = 1, pipe = 2 }
    fn merge(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        each(message, |(number, value)| match number {
            // SocketAddress { address = 2, port_value = 3: uint32 }
            1 => each(value.bytes()?, |(number, value)| match number {
                2 => set(&mut self.address, value.bytes()?),
                3 => set(&mut self.port, value.varint()? as u32),
                _ => Ok(()),
            }),
            2 => value.bytes().map(|_pipe| *self = Self::default()),
            _ => Ok(()),
        })
    }
}

/// core.v3.HeaderValue `{ key = 1, value = 2, raw_value = 3 }`: a proxy fills one of the two values.
fn header_value(message: &[u8]) -> Result<Entry<'_>, WireError> {
    let (mut key, mut value, mut raw_value): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    each(message, |(number, part)| match number {
        1 => set(&mut key, part.bytes()?),
        2 => set(&mut value, part.bytes()?),
        3 => set(&mut raw_value, part.bytes()?),
        _ => Ok(()),
    })?;
    Ok((key, if raw_value.is_empty() { value } else { raw_value }))
}

fn set<T>(place: &mut T, value: T) -> Result<(), WireError> {
    *place = value;
    Ok(())
}

/// Keeps up to one more than `most`, so that [`CheckRequest::read`] sees that there were too many.
fn push<'a, const N: usize>(
    entries: &mut SmallVec<[Entry<'a>; N]>,
    most: usize,
    entry: Entry<'a>,
) -> Result<(), WireError>
where
    [Entry<'a>; N]: smallvec::Array<Item = Entry<'a>>,
{
    if entries.len() <= most {
        entries.push(entry);
    }
    Ok(())
}
