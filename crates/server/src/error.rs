//! Errors as Prometheus' API words them: a type, a status and a message.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::{Error, ErrorKind};
use engine::QueryFailure;

/// The `errorType` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
    /// Unavailable too, and will be until the program is started in another way.
    Disabled,
    NotFound,
}

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) error_type: ApiErrorType,
    pub(crate) message: String,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self { error_type: ApiErrorType::BadData, message: message.into() }
    }

    /// The value of a parameter is wrong.
    pub(crate) fn invalid_parameter(name: &str, cause: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {cause}"))
    }

    /// What was asked for has to be enabled first.
    pub(crate) fn disabled(message: impl Into<String>) -> Self {
        Self { error_type: ApiErrorType::Disabled, message: message.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self.error_type {
            ApiErrorType::BadData => StatusCode::BAD_REQUEST,
            ApiErrorType::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // 499, "client closed request"; nobody is there to read it.
            ApiErrorType::Canceled => StatusCode::from_u16(499).expect("499 is in the range of status codes"),
            ApiErrorType::Timeout | ApiErrorType::Unavailable | ApiErrorType::Disabled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ApiErrorType::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ApiErrorType::NotFound => StatusCode::NOT_FOUND,
        }
    }

    fn type_name(&self) -> &'static str {
        match self.error_type {
            ApiErrorType::BadData => "bad_data",
            ApiErrorType::Execution => "execution",
            ApiErrorType::Canceled => "canceled",
            ApiErrorType::Timeout => "timeout",
            ApiErrorType::Internal => "internal",
            ApiErrorType::Unavailable | ApiErrorType::Disabled => "unavailable",
            ApiErrorType::NotFound => "not_found",
        }
    }
}

/// What went wrong while a request was carried out. A request that was wrong in itself never gets this far, so
/// `Invalid` means that the query cannot be executed on the data that is there.
impl From<Error> for ApiError {
    fn from(e: Error) -> Self {
        let error_type = match e.kind() {
            ErrorKind::Invalid | ErrorKind::Limit => ApiErrorType::Execution,
            ErrorKind::NotFound => ApiErrorType::NotFound,
            ErrorKind::Unavailable => ApiErrorType::Unavailable,
            ErrorKind::Canceled => ApiErrorType::Canceled,
            ErrorKind::Timeout => ApiErrorType::Timeout,
            ErrorKind::Corrupt | ErrorKind::Internal => ApiErrorType::Internal,
        };
        Self { error_type, message: e.message().to_string() }
    }
}

impl From<QueryFailure> for ApiError {
    fn from(f: QueryFailure) -> Self {
        match f {
            QueryFailure::Rejected(e) => Self::invalid_parameter("query", e),
            QueryFailure::Execute(e) => e.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.error_type == ApiErrorType::Internal {
            tracing::error!(error = self.message, "cannot answer request");
        }
        let body =
            serde_json::json!({"status": "error", "errorType": self.type_name(), "error": self.message});
        let mut response =
            (self.status(), [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        if self.error_type == ApiErrorType::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_map_to_prometheus_types_and_statuses() {
        let check = |kind, name, status| {
            let e = ApiError::from(Error::new(kind, "x"));
            assert_eq!((e.type_name(), e.status().as_u16()), (name, status), "{kind:?}");
        };
        check(ErrorKind::Invalid, "execution", 422);
        check(ErrorKind::Limit, "execution", 422);
        check(ErrorKind::NotFound, "not_found", 404);
        check(ErrorKind::Unavailable, "unavailable", 503);
        check(ErrorKind::Canceled, "canceled", 499);
        check(ErrorKind::Timeout, "timeout", 503);
        check(ErrorKind::Corrupt, "internal", 500);
    }
}
