//! The sentences of refusals in German, by the English ones: those of `docs/refusals.md` and the host's own.

/// The German sentence; `None`: nobody translated it, because an administrator wrote it.
pub(super) fn german(english: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(key, _)| *key == english).map(|(_, german)| *german)
}

const SENTENCES: &[(&str, &str)] = &[
    // The callback.
    (
        "The sign-in came back incomplete. Please start again.",
        "Die Anmeldung kam unvollständig zurück. Bitte beginnen Sie von vorn.",
    ),
    (
        "The sign-in came back garbled. Please start again.",
        "Die Anmeldung kam verstümmelt zurück. Bitte beginnen Sie von vorn.",
    ),
    (
        "The sign-in came back with too much data. Please start again.",
        "Die Anmeldung kam mit zu vielen Daten zurück. Bitte beginnen Sie von vorn.",
    ),
    (
        "The sign-in came back from another provider than it was started with. Please start again.",
        "Die Anmeldung kam von einem anderen Dienst zurück als dem, mit dem sie begann. Bitte beginnen Sie von vorn.",
    ),
    (
        "This sign-in has expired or was finished already. Please start again.",
        "Diese Anmeldung ist abgelaufen oder schon beendet. Bitte beginnen Sie von vorn.",
    ),
    ("This sign-in has expired. Please start again.", "Diese Anmeldung ist abgelaufen. Bitte beginnen Sie von vorn."),
    (
        "This sign-in was finished already. Please start again if you aren't signed in.",
        "Diese Anmeldung ist schon beendet. Bitte beginnen Sie von vorn, falls Sie nicht angemeldet sind.",
    ),
    (
        "This sign-in was started in another browser or window, or cookies are blocked. Please start again here.",
        "Diese Anmeldung begann in einem anderen Browser oder Fenster, oder Cookies sind gesperrt. Bitte beginnen Sie hier von \
         vorn.",
    ),
    (
        "This sign-in was started in another way than it came back. Please start again.",
        "Diese Anmeldung kam anders zurück, als sie begann. Bitte beginnen Sie von vorn.",
    ),
    // The provider says no.
    ("You cancelled the sign-in.", "Sie haben die Anmeldung abgebrochen."),
    ("Your organisation's sign-in didn't let you in.", "Die Anmeldung Ihrer Organisation hat Sie nicht zugelassen."),
    ("The sign-in provider didn't let you in.", "Der Anmeldedienst hat Sie nicht zugelassen."),
    (
        "This application needs to be approved first. Please ask your administrator.",
        "Diese Anwendung muss erst genehmigt werden. Bitte wenden Sie sich an Ihre Administration.",
    ),
    (
        "The provider needs you to sign in again, perhaps with a second factor. Please start again.",
        "Der Anmeldedienst verlangt eine neue Anmeldung, vielleicht mit einem zweiten Faktor. Bitte beginnen Sie von vorn.",
    ),
    (
        "Your organisation's access rules don't allow this sign-in, perhaps because of the device or the place. Please ask your administrator.",
        "Die Zugriffsregeln Ihrer Organisation erlauben diese Anmeldung nicht, vielleicht wegen des Geräts oder des Ortes. Bitte \
         wenden Sie sich an Ihre Administration.",
    ),
    (
        "Your organisation demands a second factor. Please start again and complete every step.",
        "Ihre Organisation verlangt einen zweiten Faktor. Bitte beginnen Sie von vorn und führen Sie jeden Schritt aus.",
    ),
    (
        "Your account isn't assigned to this application. Please ask your administrator.",
        "Ihr Konto ist dieser Anwendung nicht zugewiesen. Bitte wenden Sie sich an Ihre Administration.",
    ),
    (
        "Your account is disabled or locked. Please ask your administrator.",
        "Ihr Konto ist deaktiviert oder gesperrt. Bitte wenden Sie sich an Ihre Administration.",
    ),
    (
        "Your password has expired. Please change it, then start again.",
        "Ihr Passwort ist abgelaufen. Bitte ändern Sie es und beginnen Sie dann von vorn.",
    ),
    (
        "Your account doesn't belong to this organisation. Please use your work account.",
        "Ihr Konto gehört nicht zu dieser Organisation. Bitte verwenden Sie Ihr Arbeitskonto.",
    ),
    // The provider can't.
    (
        "The sign-in provider has a problem right now. Please try again in a few minutes.",
        "Der Anmeldedienst ist gerade gestört. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "The sign-in provider can't be reached right now. Please try again in a few minutes.",
        "Der Anmeldedienst ist gerade nicht erreichbar. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "The sign-in provider takes too long. Please try again in a few minutes.",
        "Der Anmeldedienst braucht zu lange. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "The sign-in provider is overloaded. Please try again in a few minutes.",
        "Der Anmeldedienst ist überlastet. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "The sign-in provider's answer makes no sense. Please tell your administrator.",
        "Die Antwort des Anmeldedienstes ist unverständlich. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Defguard can't be reached right now. Please try again in a few minutes.",
        "Defguard ist gerade nicht erreichbar. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    // This host can't, right now.
    (
        "Too many sign-ins come from your network right now. Please try again in a moment.",
        "Aus Ihrem Netz kommen gerade zu viele Anmeldungen. Bitte versuchen Sie es gleich wieder.",
    ),
    ("The request is larger than any that this takes.", "Die Anfrage ist größer als alles, was hier angenommen wird."),
    (
        "The request took too long to arrive. Please try again.",
        "Die Anfrage ist nicht rechtzeitig angekommen. Bitte versuchen Sie es noch einmal.",
    ),
    // The token.
    (
        "Your sign-in couldn't be verified. Please start again.",
        "Ihre Anmeldung konnte nicht geprüft werden. Bitte beginnen Sie von vorn.",
    ),
    (
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "Ihre Anmeldung konnte nicht geprüft werden. Bitte sagen Sie es Ihrer Administration.",
    ),
    // The account.
    (
        "Guest accounts can't enroll here. Please use your own organisation's account.",
        "Mit einem Gastkonto geht es hier nicht. Bitte verwenden Sie das Konto Ihrer eigenen Organisation.",
    ),
    (
        "Personal Microsoft accounts can't enroll here. Please use your work account.",
        "Mit einem persönlichen Microsoft-Konto geht es hier nicht. Bitte verwenden Sie Ihr Arbeitskonto.",
    ),
    (
        "You signed in to your account too long ago. Please start again and enter your credentials.",
        "Ihre letzte Anmeldung beim Dienst ist zu lange her. Bitte beginnen Sie von vorn und geben Sie Ihre Zugangsdaten ein.",
    ),
    (
        "Your account can't be checked. Please tell your administrator.",
        "Ihr Konto kann nicht geprüft werden. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your account can't be identified. Please tell your administrator.",
        "Ihr Konto ist nicht erkennbar. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your account has no e-mail address that we can see. Please tell your administrator.",
        "Ihr Konto hat keine E-Mail-Adresse, die wir sehen können. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your account's e-mail address can't be used. Please tell your administrator.",
        "Die E-Mail-Adresse Ihres Kontos ist nicht verwendbar. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your account isn't in a group that may enroll here. Please ask your administrator.",
        "Ihr Konto ist in keiner der zugelassenen Gruppen. Bitte wenden Sie sich an Ihre Administration.",
    ),
    (
        "Your account may not enroll here. Please ask your administrator.",
        "Ihr Konto ist hier nicht zugelassen. Bitte wenden Sie sich an Ihre Administration.",
    ),
    (
        "Your account's organisation isn't allowed to enroll here.",
        "Die Organisation Ihres Kontos ist hier nicht zugelassen.",
    ),
    (
        "Your account's provider doesn't say when you signed in. Please tell your administrator.",
        "Ihr Anmeldedienst sagt nicht, wann Sie sich angemeldet haben. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your e-mail address isn't confirmed. Please tell your administrator.",
        "Ihre E-Mail-Adresse ist nicht bestätigt. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your e-mail address isn't one that may enroll here. Please use your work account.",
        "Ihre E-Mail-Adresse ist hier nicht zugelassen. Bitte verwenden Sie Ihr Arbeitskonto.",
    ),
    (
        "Your groups can't be checked right now. Please try again in a few minutes, or ask your administrator.",
        "Ihre Gruppen können gerade nicht geprüft werden. Bitte versuchen Sie es in ein paar Minuten wieder oder fragen Sie Ihre \
         Administration.",
    ),
    (
        "Your sign-in wasn't as strong as it has to be here. Please start again and complete every step.",
        "Ihre Anmeldung war nicht so stark, wie sie hier sein muss. Bitte beginnen Sie von vorn und führen Sie jeden Schritt aus.",
    ),
    // The installation.
    (
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "Die Anmeldung ist nicht richtig eingerichtet. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "The sign-in can't go on right now. Please try again in a few minutes.",
        "Die Anmeldung kann gerade nicht weitergehen. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "The sign-in failed inside. Please tell your administrator.",
        "Bei der Anmeldung ist ein innerer Fehler aufgetreten. Bitte sagen Sie es Ihrer Administration.",
    ),
    // The host's own.
    ("There is nothing at this address.", "Unter dieser Adresse ist nichts."),
    ("There is no sign-in provider of this name.", "Es gibt keinen Anmeldedienst dieses Namens."),
    (
        "Too many people are signing in right now. Please try again in a moment.",
        "Gerade melden sich zu viele Menschen an. Bitte versuchen Sie es gleich wieder.",
    ),
    (
        "The sign-in took too long. Please start again.",
        "Die Anmeldung hat zu lange gedauert. Bitte beginnen Sie von vorn.",
    ),
    (
        "You are signed in, but the enrollment could not be prepared. Please try again in a few minutes.",
        "Sie sind angemeldet, aber die Einrichtung konnte nicht vorbereitet werden. Bitte versuchen Sie es in ein paar Minuten \
         wieder.",
    ),
    (
        "There is an account with your e-mail address already. Your administrator must confirm that it is yours.",
        "Es gibt schon ein Konto mit Ihrer E-Mail-Adresse. Ihre Administration muss bestätigen, dass es Ihres ist.",
    ),
    (
        "You are signed in, but your account here can't be used. Please tell your administrator.",
        "Sie sind angemeldet, aber Ihr Konto hier ist nicht verwendbar. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "Your account isn't in your organisation's directory. Please ask your administrator.",
        "Ihr Konto ist nicht im Verzeichnis Ihrer Organisation. Bitte wenden Sie sich an Ihre Administration.",
    ),
    // Defguard Core.
    (
        "Defguard doesn't answer at the moment. Please try again in a few minutes.",
        "Defguard antwortet gerade nicht. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "Too many people are enrolling right now. Please try again in a moment.",
        "Gerade richten sich zu viele Menschen ein. Bitte versuchen Sie es gleich wieder.",
    ),
    (
        "You are signed in, but Defguard doesn't accept your data. Please tell your administrator.",
        "Sie sind angemeldet, aber Defguard nimmt Ihre Daten nicht an. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "You are signed in, but Defguard has no free place for another user. Please tell your administrator.",
        "Sie sind angemeldet, aber Defguard hat keinen freien Platz mehr. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "You are signed in, but Defguard takes your e-mail address for another user's. Please tell your administrator.",
        "Sie sind angemeldet, aber Defguard verwechselt Ihre E-Mail-Adresse mit einer anderen. Bitte sagen Sie es Ihrer \
         Administration.",
    ),
    (
        "You are signed in, but Defguard took too long. Please try again in a few minutes.",
        "Sie sind angemeldet, aber Defguard hat zu lange gebraucht. Bitte versuchen Sie es in ein paar Minuten wieder.",
    ),
    (
        "You are signed in, but every user name that fits you is taken. Please tell your administrator.",
        "Sie sind angemeldet, aber jeder passende Benutzername ist vergeben. Bitte sagen Sie es Ihrer Administration.",
    ),
    (
        "You are signed in, but the connection to Defguard isn't set up correctly. Please tell your administrator.",
        "Sie sind angemeldet, aber die Verbindung zu Defguard ist nicht richtig eingerichtet. Bitte sagen Sie es Ihrer \
         Administration.",
    ),
    (
        "You are signed in, but you have no account in Defguard yet. Please ask your administrator for one.",
        "Sie sind angemeldet, haben aber noch kein Konto in Defguard. Bitte fragen Sie Ihre Administration danach.",
    ),
    (
        "You are signed in, but your account in Defguard is disabled. Please tell your administrator.",
        "Sie sind angemeldet, aber Ihr Konto in Defguard ist deaktiviert. Bitte sagen Sie es Ihrer Administration.",
    ),
];
