//! Lists, page by page.

use std::collections::HashSet;

use reqwest::Url;
use serde_json::value::RawValue;

use super::{HttpGraph, call::Trail, wire};
use crate::{model::Tick, ports::GraphError};

/// The most pages that are followed. A service principal has a handful of jobs and a display name a
/// handful of owners; a list that goes on and on is broken or hostile.
const MOST_PAGES: usize = 100;

/// The most items of a list, for the same reason: four megabytes of `{}` would be a million jobs.
const MOST_ITEMS: usize = 10_000;

impl HttpGraph {
    /// Reads a list whole, or not at all: part of one could make a name look unique that is not.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn list<T>(
        &self,
        first: Url,
        deadline: Tick,
        trail: &mut Trail,
        item: impl Fn(&RawValue) -> Result<T, String>,
    ) -> Result<Vec<T>, GraphError> {
        let bad = |problem: String| GraphError::BadResponse { problem };
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut oldest = None;
        let mut page = Some(first);
        while let Some(url) = page {
            if seen.len() == MOST_PAGES {
                return Err(bad(format!("the list has more than {MOST_PAGES} pages")));
            }
            if !seen.insert(url.as_str().to_owned()) {
                return Err(bad("the list's next page is one that was read before".to_owned()));
            }
            let body = self.read(&url, deadline, trail).await?;
            // No item was read earlier than the first page was asked for.
            let (began, read_at) = *oldest.get_or_insert((trail.began, trail.read_at));
            (trail.began, trail.read_at) = (began, read_at);
            let (found, next) = wire::text(&body).and_then(wire::page).map_err(bad)?;
            if found.len() > MOST_ITEMS.saturating_sub(items.len()) {
                return Err(bad(format!("the list has more than {MOST_ITEMS} items")));
            }
            for found in found {
                items.push(item(found).map_err(bad)?);
            }
            page = match next {
                Some(link) => Some(self.origin.next(&link).map_err(bad)?),
                None => None,
            };
        }
        Ok(items)
    }
}
