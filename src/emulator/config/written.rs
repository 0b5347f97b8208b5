//! How durations are written in a configuration.

/// Durations as people write them: `300ms`, `10m`, `1h 30m`.
pub(in crate::emulator) mod duration {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::emulator) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(in crate::emulator) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!("{text:?} is not a duration such as \"300ms\": {error}"))
        })
    }
}

/// The same, where there may be none.
pub(in crate::emulator) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Written(#[serde(with = "super::duration")] Duration);

    #[expect(clippy::ref_option, reason = "serde's `with` hands the field by reference")]
    pub(in crate::emulator) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Written).serialize(serializer)
    }

    pub(in crate::emulator) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Written>::deserialize(deserializer)?.map(|Written(value)| value))
    }
}
