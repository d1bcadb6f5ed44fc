//! Who asks: the client's address, and the request as it came.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use engine::QueryOrigin;

/// The address of a connection's client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) SocketAddr);

/// Where a query comes from.
pub(crate) struct Origin(pub(crate) QueryOrigin);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let extensions = &parts.extensions;
        let client = extensions.get::<ConnectInfo<ClientAddress>>();
        let path = extensions.get::<OriginalUri>().map_or(&parts.uri, |u| &u.0).path();
        Ok(Self(QueryOrigin::Http {
            client_ip: client.map(|c| c.0.0.ip().to_string()).unwrap_or_default(),
            method: parts.method.to_string(),
            path: path.to_owned(),
        }))
    }
}
