//! Which account a person gets: their own, by a key that never changes; never another's, whatever the address says (V1, V2,
//! V23).

use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::person;
use serde_json::Value;

/// A host that has an account of Ada's address already, made by hand.
async fn with(settings: &[(&str, &str)], more: &str) -> Entra {
    let mut options = settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
    options.more = format!("{more}\n[[handover.account]]\nusername = \"countess\"\nemail = \"Ada@contoso.example\"\n");
    Entra::start(options).await
}

async fn linking(stack: &Entra, person: &str) -> (u16, String, Value) {
    let browser = stack.browser();
    let finished = browser.sign_in(person).await;
    let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
    (finished.status, finished.code(), record["linking"].clone())
}

#[tokio::test]
async fn an_account_that_was_there_before() {
    let verified = ("linking.existing", "\"verified_email\"");
    let table: Vec<(&str, Vec<(&str, &str)>, &str, &str)> = vec![
        ("by default an administrator says", vec![], "needs_approval", "link_needs_approval"),
        ("never", vec![("linking.existing", "\"never\"")], "refused", "link_refused"),
        ("the address is proven", vec![verified], "linked", ""),
    ];
    for (name, settings, decision, code) in table {
        let stack = with(&settings, "").await;
        let (status, found, linking) = linking(&stack, person::ADA).await;
        assert_eq!(found, code, "{name}: {linking}");
        assert_eq!(status, if code.is_empty() { 200 } else { 403 }, "{name}: {linking}");
        assert_eq!((&linking["decision"], &linking["account"]), (&decision.into(), &"countess".into()), "{name}");
        assert!(linking["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{name}: {linking}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_vouches_for_links_nothing() {
    // The Mail attribute can be set by whoever owns an account (nOAuth): several people claim Ada's address.
    let claimants = [person::EDOV_FALSE, person::EDOV_ABSENT];
    for claimant in claimants {
        let stack = with(&[("linking.existing", "\"verified_email\"")], "").await;
        let control = stack.entra.control();
        control.edit_person(claimant, |person| person.mail = Some("ada@contoso.example".into())).unwrap();
        let (status, code, linking) = linking(&stack, claimant).await;
        assert_eq!((status, code.as_str()), (403, "link_needs_approval"), "{claimant}: {linking}");
        // And the owner still gets it.
        assert_eq!(self::linking(&stack, person::ADA).await.0, 200, "{claimant}");
        // From then on it is hers: nobody else's approval is asked.
        let (_, code, _) = self::linking(&stack, claimant).await;
        assert_eq!(code, "link_refused", "{claimant}");
    }
    // A guest never, whatever is verified.
    let stack = with(&[("linking.existing", "\"verified_email\""), ("guests", "true")], "").await;
    let control = stack.entra.control();
    control.edit_person(person::GUEST, |guest| guest.mail = Some("ada@contoso.example".into())).unwrap();
    let (status, code, linking) = linking(&stack, person::GUEST).await;
    assert_eq!((status, code.as_str()), (403, "link_needs_approval"), "{linking}");
}

#[tokio::test]
async fn an_administrator_approves_in_the_configuration() {
    let plain = Entra::plain().await;
    let browser = plain.browser();
    let finished = browser.sign_in(person::EDOV_FALSE).await;
    let oid = browser.identity(&finished).await["object_id"].as_str().unwrap().to_owned();
    let approved = format!("[[provider.approved_link]]\nidentity = {oid:?}\naccount = \"countess\"\n");
    let stack = with(&[], &approved).await;
    let (status, _, approved) = linking(&stack, person::EDOV_FALSE).await;
    assert_eq!((status, &approved["decision"], &approved["account"]), (200, &"linked".into(), &"countess".into()));
    let (_, _, again) = linking(&stack, person::EDOV_FALSE).await;
    assert_eq!(again["reason"], "linked by the identity's key");
    let (_, code, _) = linking(&stack, person::ADA).await;
    assert_eq!(code, "link_refused", "the account is somebody's now");
}

#[tokio::test]
async fn a_key_is_kept_and_an_address_never_is() {
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    let (_, _, first) = linking(&stack, person::ADA).await;
    assert_eq!(first["decision"], "new");
    // V2: another address, the same person.
    control.edit_person(person::ADA, |ada| ada.mail = Some("countess@contoso.example".into())).unwrap();
    let (_, _, renamed) = linking(&stack, person::ADA).await;
    assert_eq!((&renamed["decision"], &renamed["account"]), (&"linked".into(), &first["account"]));
    // V1: the address that she had is another person's now: it is no way to her account.
    control.edit_person(person::UNICODE, |other| other.mail = Some("ada@contoso.example".into())).unwrap();
    let (status, code, other) = linking(&stack, person::UNICODE).await;
    assert_eq!((status, code.as_str(), &other["decision"]), (403, "link_refused", &"refused".into()));
}
