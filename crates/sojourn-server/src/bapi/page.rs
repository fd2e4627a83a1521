//! The pagination parameters of a list.

use crate::wire::{ApiError, ApiResult, ErrorCode, Params};

/// `limit` and `offset`.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// 1 to 500; 10 by default.
    pub limit: u32,
    /// 0 by default.
    pub offset: u32,
}

impl Page {
    /// Reads both parameters from the query.
    ///
    /// # Errors
    /// A value that is not a number or out of bounds.
    pub fn of(params: &Params) -> ApiResult<Self> {
        let limit = params.number("limit")?.unwrap_or(10);
        let limit = u32::try_from(limit).ok().filter(|limit| (1..=500).contains(limit)).ok_or_else(|| {
            ApiError::param(ErrorCode::FormParamValueInvalid, "limit").why("limit has to be from 1 to 500.")
        })?;
        let offset = u32::try_from(params.number("offset")?.unwrap_or(0)).map_err(|_| {
            ApiError::param(ErrorCode::FormParamValueInvalid, "offset").why("offset is too large.")
        })?;
        Ok(Self { limit, offset })
    }
}
