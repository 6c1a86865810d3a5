//! What to tell the administrator for a number in Entra's error text. Numbers change without notice ("Apps that take a
//! dependency on text or error code numbers will be broken over time"): they only choose a hint, never a decision.

/// The number of `AADSTS70011: …`, if the text has one.
pub fn number(description: &str) -> Option<u32> {
    let digits = description.split_once("AADSTS")?.1;
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// The hint for a number; `None`: none is known.
pub fn hint(number: u32) -> Option<&'static str> {
    Some(match number {
        50011 => "AADSTS50011: the redirect URI isn't registered. Add the exact URI (case, slash, scheme) as type Web.",
        900_971 => "AADSTS900971: no redirect URI is registered. Add it as type Web.",
        700_016 => {
            "AADSTS700016: the application isn't in this tenant. Check client_id and tenant, or grant consent there."
        }
        7_000_112 | 70001 => {
            "The application is disabled: Enterprise applications > Properties > Enabled for users to sign in."
        }
        90002 => "AADSTS90002: no such tenant. Check the tenant id, and that the cloud is the right one.",
        90038 => "AADSTS90038: the tenant belongs to another national cloud. Change cloud.",
        50194 => "AADSTS50194: a single-tenant application on /common. Use the tenant's GUID in base_url.",
        9_002_332 | 500_208 => "Personal accounts aren't allowed for this application.",
        50020 | 16000 | 51004 | 50034 => {
            "The account isn't in this tenant: invite it as a guest, or use another account."
        }
        50059 | 50128 | 90019 => "No tenant in the request: use the tenant's GUID in base_url.",
        50105 => {
            "AADSTS50105: the person isn't assigned. Enterprise applications > Users and groups, or turn off Assignment required."
        }
        65001 => "AADSTS65001: no consent. App registrations > API permissions > Grant admin consent.",
        65004 => "AADSTS65004: the person declined consent. Grant admin consent so that nobody is asked.",
        90094 | 90095 => "An administrator must consent: App registrations > API permissions > Grant admin consent.",
        650_056 | 650_057 => {
            "The application asks for a permission that it isn't registered for: add it under API permissions."
        }
        50057 => "AADSTS50057: the account is disabled.",
        50053 => "AADSTS50053: the account is locked, or the address is suspicious. See the sign-in log.",
        50055 | 50144 => "The password has expired: the person resets it.",
        50126 => "AADSTS50126: wrong user name or password.",
        50058 => "AADSTS50058: no session, and prompt = \"none\" forbids to ask. Remove prompt.",
        50072 | 50079 => "The person must register for multi-factor authentication.",
        50074 | 50076 | 50078 => "Multi-factor authentication is required: the person signs in again and completes it.",
        50097 | 53000 | 53001 => "The device must be registered or compliant: see Conditional Access.",
        53003 | 50131 => "Blocked by Conditional Access: check the policies for this application.",
        530_032 | 530_035 => "Blocked by the tenant's security policy or security defaults.",
        53004 | 53011 => "Blocked because of risk: remediate it in Identity Protection.",
        500_212 | 500_213 => "A cross-tenant access policy blocks it.",
        700_054 | 70005 => "The response type isn't enabled; this plugin uses the code flow only.",
        70011 | 28002 | 700_022 => "A scope is invalid: only openid, profile, email and Graph scopes of one resource.",
        7_000_215 => "AADSTS7000215: wrong client secret. Paste the secret's Value, not its Secret ID.",
        7_000_222 => "AADSTS7000222: the client secret has expired. Certificates & secrets > New client secret.",
        7_000_218 => "AADSTS7000218: the application is confidential, and no credential arrived.",
        700_025 => "AADSTS700025: the application is registered as public. Register the redirect URI as type Web.",
        700_027 | 50012 => {
            "The client assertion or its certificate is unknown: upload the certificate, check the clock."
        }
        54005 => "AADSTS54005: the code was redeemed before (a callback sent twice).",
        70008 | 700_082 | 70000 => "The code has expired.",
        501_481 | 50148 | 50147 | 501_491 => "The PKCE verifier doesn't fit: the callback belongs to another sign-in.",
        700_005 => "AADSTS700005: the code is another tenant's.",
        50173 | 50133 | 50132 => "The session was revoked (password change): the person signs in again.",
        90055 | 50196 => "The tenant or client is throttled.",
        90006 | 90012 | 90024 | 90033 | 90090 | 50033 => "A passing problem of Entra.",
        _ => return None,
    })
}

/// What the person is told of a number instead of the general sentence; `None`: that one says enough.
pub fn sentence(number: u32) -> Option<&'static str> {
    Some(match number {
        53000 | 53001 | 53003 | 53004 | 53011 | 50097 | 50131 | 530_032 | 530_035 | 500_212 | 500_213 => {
            "Your organisation's access rules don't allow this sign-in, perhaps because of the device or the place. Please ask your administrator."
        }
        50072 | 50074 | 50076 | 50078 | 50079 => {
            "Your organisation demands a second factor. Please start again and complete every step."
        }
        65001 | 65004 | 90094 | 90095 => "This application needs to be approved first. Please ask your administrator.",
        50105 => "Your account isn't assigned to this application. Please ask your administrator.",
        50053 | 50057 => "Your account is disabled or locked. Please ask your administrator.",
        50055 | 50144 => "Your password has expired. Please change it, then start again.",
        16000 | 50020 | 50034 | 51004 => {
            "Your account doesn't belong to this organisation. Please use your work account."
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_something_has_a_hint_for_the_administrator() {
        for number in 0..1_000_000 {
            assert!(sentence(number).is_none() || hint(number).is_some(), "AADSTS{number}");
        }
    }

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("AADSTS7000215: Invalid client secret provided.", Some(7_000_215)),
            ("x AADSTS50011", Some(50011)),
            ("AADSTS: nothing", None),
            ("AADSTS99999999999999999999: too long", None),
            ("no number", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
