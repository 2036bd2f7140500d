//! Protobuf as it comes in, with the blame where it belongs.
//!
//! tonic answers bytes that it cannot read with `INTERNAL`, as if the server had failed. They
//! are the sender's fault and are answered with `INVALID_ARGUMENT` here: what does not decode by
//! [`StrictCodec`], and what does not even frame or inflate by [`blame_sender`]. The decoder's
//! message names the field.

use std::marker::PhantomData;

use http::{HeaderValue, Request, Response};
use prost::Message;
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// The response header by which a status tells the kind of failure, as in
/// [`bartizan_engine::failure::FailureCode::as_str`]. Statuses without it are tonic's own.
pub(super) const CODE_HEADER: &str = "x-bartizan-code";

const STATUS_HEADER: &str = "grpc-status";
const ENCODING_HEADER: &str = "grpc-encoding";
const ACCEPT_HEADER: &str = "grpc-accept-encoding";

/// Protobuf by `prost`, whose decoding errors are `INVALID_ARGUMENT`.
#[derive(Debug)]
pub struct StrictCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for StrictCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for StrictCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = StrictDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder(PhantomData)
    }
}

/// The reading half of [`StrictCodec`].
#[derive(Debug)]
pub struct StrictDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for StrictDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Takes back the offer of a compressed answer from a caller who did not compress the question.
///
/// Most clients say of every call what they could inflate; compressing each small frame for all
/// of them would cost both sides more than it saves.
pub(super) fn mirror_compression<B>(mut request: Request<B>) -> Request<B> {
    let compressed = request.headers().get(ENCODING_HEADER).is_some_and(|name| name != "identity");
    if !compressed {
        request.headers_mut().remove(ACCEPT_HEADER);
    }
    request
}

/// Turns tonic's own verdicts on bytes that are no messages into `INVALID_ARGUMENT`.
pub(super) fn blame_sender<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers();
    let ours = headers.contains_key(CODE_HEADER);
    let code = headers.get(STATUS_HEADER).map(|value| Code::from_bytes(value.as_bytes()));
    if !ours && code.is_some_and(is_senders_fault) {
        let verdict = HeaderValue::from(Code::InvalidArgument as i32);
        response.headers_mut().insert(STATUS_HEADER, verdict);
    }
    response
}

/// The same for a stream, where the verdict arrives in place of a message.
pub(super) fn blame(status: Status) -> Status {
    if is_senders_fault(status.code()) {
        Status::invalid_argument(status.message())
    } else {
        status
    }
}

/// The codes that tonic gives to a message that is too large (on the wire, or inflated), to a
/// frame cut short, and to a compression flag or stream that makes no sense.
fn is_senders_fault(code: Code) -> bool {
    matches!(code, Code::Internal | Code::OutOfRange | Code::ResourceExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statuses_that_are_not_ours_are_reread() {
        let with = |code: &str, ours: bool| {
            let mut response = Response::new(());
            response.headers_mut().insert(STATUS_HEADER, HeaderValue::from_str(code).unwrap());
            if ours {
                response.headers_mut().insert(CODE_HEADER, HeaderValue::from_static("internal"));
            }
            blame_sender(response).headers()[STATUS_HEADER].clone()
        };
        assert_eq!(with("13", false), "3");
        assert_eq!(with("11", false), "3");
        assert_eq!(with("13", true), "13");
        assert_eq!(with("12", false), "12");
    }

    #[test]
    fn an_offer_stands_only_for_callers_who_compress() {
        let offered = |encoding: Option<&str>| {
            let mut request = Request::builder().header(ACCEPT_HEADER, "gzip");
            if let Some(encoding) = encoding {
                request = request.header(ENCODING_HEADER, encoding);
            }
            let request = mirror_compression(request.body(()).unwrap());
            request.headers().contains_key(ACCEPT_HEADER)
        };
        assert!(offered(Some("gzip")));
        assert!(!offered(Some("identity")));
        assert!(!offered(None));
    }
}
