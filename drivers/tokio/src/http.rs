//! HTTP responses in the terms of the protocol.

use http::Response;
use socketio_proto::engine;
use socketio_proto_websocket::http::to_response;

use crate::body::Body;

pub(crate) fn to_http(response: engine::Response) -> Response<Body> {
    to_response(response).map(Body::new)
}
