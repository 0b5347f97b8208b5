//! What to do about an error of Microsoft's identity platform, by its AADSTS code.
//!
//! Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error
//! codes". Only codes that the credentials here can meet.

/// The code in a text such as `AADSTS7000215: Invalid client secret provided.`
pub(super) fn aadsts_code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// Whether the platform calls this a fault of its own, or asks to wait.
pub(super) fn passes(code: u32) -> bool {
    matches!(
        code,
        // The directory is unavailable; another server failed; over the request budget; the tenant
        // is throttled; the same request too many times in a row.
        90_033 | 90_006 | 90_024 | 90_055 | 50_196
    )
}

/// What to do about it.
pub(super) fn of_aadsts(code: u32) -> &'static str {
    match code {
        7_000_215 | 7_000_216 => {
            "set AZURE_CLIENT_SECRET to the secret's value (not its id), or make a new one: Entra \
             admin centre, App registrations, Certificates & secrets"
        }
        7_000_222 => {
            "the secret has expired: make a new one (Entra admin centre, App registrations, \
             Certificates & secrets) and set AZURE_CLIENT_SECRET"
        }
        700_016 => {
            "check AZURE_CLIENT_ID and AZURE_TENANT_ID: the tenant knows no such application, or \
             nobody has consented to it there"
        }
        7_000_112 => {
            "the application is disabled: enable it in Enterprise applications, Properties"
        }
        90_002 | 900_023 | 900_021 | 50_059 | 50_128 => {
            "check AZURE_TENANT_ID (a GUID or a domain), and that the cloud is right (`--cloud`)"
        }
        700_027 => {
            "upload this very certificate to the application (Certificates & secrets), or point \
             AZURE_CLIENT_CERTIFICATE_PATH at the one that is there; check that it has not expired"
        }
        700_024 => "check this machine's clock: it disagrees with Microsoft's",
        700_211 | 700_212 | 700_213 | 70_021 => {
            "issuer, subject and audience of the federated token must be those of a federated \
             credential of the application (Certificates & secrets, Federated credentials)"
        }
        50_027 | 50_013 | 700_023 | 700_021 => {
            "the assertion was not accepted: check that AZURE_FEDERATED_TOKEN_FILE holds a current \
             token, and that authority and cloud are right"
        }
        65_001 | 65_004 | 90_094 | 650_056 | 650_052 => {
            "an administrator has to consent to the application's Microsoft Graph permissions \
             (Synchronization.ReadWrite.All, or Application.ReadWrite.OwnedBy for its own apps)"
        }
        500_011 | 650_057 | 70_011 | 1_002_012 => {
            "the scope is not one of this cloud's: check `--cloud` and `--graph-endpoint`"
        }
        50_076 | 50_079 | 50_074 | 50_158 | 53_000..=53_011 | 530_001..=530_035 => {
            "multi-factor authentication or a conditional access policy wants a person: run \
             `az login`, or use a managed identity, a certificate or a federated token"
        }
        70_043 | 70_008 | 700_082 | 700_084 | 50_173 | 50_078 | 50_132 | 50_133 | 70_000
        | 50_034 | 50_126 | 16_000 => "log in again: `az login`",
        700_030 | 50_012 => {
            "the certificate was not accepted: check that it is the application's and has not \
             expired"
        }
        700_025 => {
            "the application is registered as a public client, which has no secret: register a \
             confidential one"
        }
        7_000_229 => "make the application's service principal in the tenant: `az ad sp create`",
        _ => {
            "look the AADSTS code up at https://login.microsoftonline.com/error, and check \
             AZURE_TENANT_ID and AZURE_CLIENT_ID"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_of_a_sentence() {
        assert_eq!(aadsts_code("ERROR: AADSTS50076: Due to a change"), Some(50_076));
        assert_eq!(aadsts_code("AADSTS7000215"), Some(7_000_215));
        assert_eq!(aadsts_code("AADSTS: none"), None);
        assert_eq!(aadsts_code("AADSTS99999999999999: too long"), None);
        assert_eq!(aadsts_code(""), None);
    }

    #[test]
    fn every_class_of_error_has_a_remedy_of_its_own() {
        for (code, word) in [
            (7_000_215, "AZURE_CLIENT_SECRET"),
            (7_000_222, "expired"),
            (700_016, "AZURE_CLIENT_ID"),
            (90_002, "AZURE_TENANT_ID"),
            (65_001, "consent"),
            (50_076, "az login"),
            (53_003, "conditional access"),
            (700_027, "certificate"),
            (700_024, "clock"),
            (700_213, "federated"),
            (1, "look the AADSTS code up"),
        ] {
            assert!(of_aadsts(code).contains(word), "{code}");
        }
        assert!(passes(90_033));
        assert!(!passes(7_000_215));
    }
}
