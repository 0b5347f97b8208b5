//! The query options of a list: `$filter`, `$select`, `$top`, and paging by `$skiptoken`.

use serde_json::Value;
use thiserror::Error;

mod filter;

pub(super) use filter::Filter;

/// The largest page that Graph gives.
const MOST: usize = 999;

/// A query that Graph would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum QueryError {
    #[error("Invalid filter clause: {0}")]
    Filter(String),
    #[error("Invalid page size specified: '{0}'. Must be between 1 and 999 inclusive.")]
    Top(String),
    #[error("Invalid skip token '{0}'.")]
    SkipToken(String),
    #[error("Query option '{0}' was specified more than once.")]
    Twice(String),
    #[error("The query parameter '{0}' is not supported.")]
    Unknown(String),
}

/// The options of one request.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) filter: Option<Filter>,
    pub(super) select: Vec<String>,
    pub(super) count: bool,
    top: Option<usize>,
    skip: usize,
    /// What a next page repeats.
    kept: Vec<(String, String)>,
}

impl Query {
    /// Reads a raw query string. Options without a dollar sign (`api-version`, for example) are let pass, as Graph does.
    pub(super) fn parse(raw: &str) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let Some(option) = name.strip_prefix('$') else { continue };
            let option = option.to_ascii_lowercase();
            if seen.contains(&option) {
                return Err(QueryError::Twice(name.into_owned()));
            }
            let value = value.into_owned();
            match option.as_str() {
                "filter" => query.filter = Some(Filter::parse(&value).map_err(QueryError::Filter)?),
                "select" => {
                    query.select = value.split(',').map(|name| name.trim().to_owned()).collect();
                }
                "count" => query.count = value.eq_ignore_ascii_case("true"),
                "top" => {
                    let top = value.parse().ok().filter(|top| (1..=MOST).contains(top));
                    query.top = Some(top.ok_or_else(|| QueryError::Top(value.clone()))?);
                }
                "skiptoken" => {
                    let skip = value.strip_prefix("after-").and_then(|skip| skip.parse().ok());
                    query.skip = skip.ok_or_else(|| QueryError::SkipToken(value.clone()))?;
                }
                // Neither changes what the emulator has to tell.
                "orderby" | "expand" | "format" | "search" => {}
                _ => return Err(QueryError::Unknown(name.into_owned())),
            }
            if option != "skiptoken" {
                query.kept.push((name.into_owned(), value));
            }
            seen.push(option);
        }
        Ok(query)
    }

    /// The page that is asked for, and the query string of the one after it.
    pub(super) fn page(&self, items: Vec<Value>, page_size: usize) -> Page {
        let matching = items
            .into_iter()
            .filter(|item| self.filter.as_ref().is_none_or(|filter| filter.holds(item)));
        let matching: Vec<Value> = matching.collect();
        let total = matching.len();
        let size = self.top.unwrap_or(page_size).min(page_size).max(1);
        let end = self.skip.saturating_add(size);
        let next = (end < total).then(|| {
            let mut next = url::form_urlencoded::Serializer::new(String::new());
            next.extend_pairs(&self.kept);
            next.append_pair("$skiptoken", &format!("after-{end}"));
            next.finish()
        });
        let items = matching.into_iter().skip(self.skip).take(size);
        Page { items: items.collect(), total, next }
    }
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) total: usize,
    pub(super) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(count: usize) -> Vec<Value> {
        (0..count).map(|id| json!({"id": id.to_string()})).collect()
    }

    fn walk(raw: &str, page_size: usize, count: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut raw = raw.to_owned();
        loop {
            let page = Query::parse(&raw).unwrap().page(items(count), page_size);
            sizes.push(page.items.len());
            match page.next {
                Some(next) => raw = next,
                None => return sizes,
            }
        }
    }

    #[test]
    fn pages_cover_everything_once() {
        assert_eq!(walk("", 100, 5), [5]);
        assert_eq!(walk("", 2, 5), [2, 2, 1]);
        assert_eq!(walk("$top=3", 100, 5), [3, 2]);
        assert_eq!(walk("$top=900", 2, 4), [2, 2]);
        assert_eq!(walk("", 2, 0), [0]);
    }

    #[test]
    fn the_next_page_keeps_the_other_options() {
        let raw = "%24filter=id%20ne%20%270%27&$select=id&api-version=1&$top=1";
        let page = Query::parse(raw).unwrap().page(items(4), 10);
        assert_eq!(page.items, [json!({"id": "1"})]);
        let next = Query::parse(&page.next.unwrap()).unwrap();
        assert_eq!(next.select, ["id"]);
        assert_eq!(next.page(items(4), 10).items, [json!({"id": "2"})]);
    }

    #[test]
    fn refuses_what_graph_refuses() {
        assert_eq!(Query::parse("$top=0").unwrap_err(), QueryError::Top("0".to_owned()));
        assert_eq!(Query::parse("$top=1000").unwrap_err(), QueryError::Top("1000".to_owned()));
        assert!(matches!(Query::parse("$top=1&$top=1"), Err(QueryError::Twice(_))));
        assert!(matches!(Query::parse("$skiptoken=zzz"), Err(QueryError::SkipToken(_))));
        assert!(matches!(Query::parse("$nope=1"), Err(QueryError::Unknown(_))));
        assert!(matches!(Query::parse("$filter=id%20eq"), Err(QueryError::Filter(_))));
    }
}
