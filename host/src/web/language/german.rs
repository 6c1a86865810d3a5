//! German.

use super::{Advices, Texts};

pub(super) static TEXTS: Texts = Texts {
    tag: "de",
    sign_in_title: "Anmelden und einrichten",
    sign_in_lead: "Melden Sie sich mit Ihrem Firmenkonto an, um Ihren VPN-Zugang einzurichten.",
    providers: "Anmeldedienste",
    have_token: "Ich habe ein Einrichtungs-Token",
    progress_title: "Sie werden angemeldet",
    progress_lead: "Ihre Anmeldung wird geprüft. Diese Seite geht von selbst weiter.",
    progress_slow: "Es dauert länger als sonst. Bitte lassen Sie diese Seite offen.",
    signed_in_title: "Sie sind angemeldet",
    welcome: "Willkommen,",
    next_step: "Ein Schritt fehlt noch: Fügen Sie diese Instanz Ihrem Defguard-Client hinzu.",
    open_client: "Defguard-Client öffnen",
    get_client: "Defguard-Client herunterladen",
    scan: "Oder scannen Sie diesen Code mit der Defguard-App auf Ihrem Telefon:",
    qr_label: "QR-Code mit Adresse und Token dieser Einrichtung",
    by_hand: "Oder wählen Sie im Client „Add instance“ und geben Sie diese beiden ein:",
    copy_url: "URL kopieren",
    copy_token: "Token kopieren",
    copied: "Kopiert",
    token_note: "Das Token gehört nur Ihnen: Geben Sie es nicht weiter.",
    sign_in_id: "Kennung dieser Anmeldung:",
    refused_title: "Die Anmeldung hat nicht geklappt",
    what_to_do: "Was Sie tun können",
    try_again: "Noch einmal versuchen",
    back: "Zurück zur Anmeldeseite",
    tell_administrator: "Wenn es so bleibt, nennen Sie Ihrer Administration dies:",
    tested_title: "Test beendet",
    tested_in: "Diese Anmeldung würde zugelassen.",
    tested_out: "Diese Anmeldung würde abgelehnt.",
    tested_note: "Es wurde nichts angelegt. Das Terminal zeigt die Claims, die zugeordnete Identität und jede Entscheidung.",
    advice: Advices {
        allow_cookies: "Beenden Sie eine Anmeldung in dem Fenster, in dem Sie sie begonnen haben. Wenn es wieder geschieht, \
                        erlauben Sie in den Einstellungen Ihres Browsers Cookies für diese Website.",
        start_anew: "Beginnen Sie mit der Schaltfläche unten von vorn, nicht mit „Zurück“ oder einem Lesezeichen: Eine \
                     Anmeldung gilt einmal und zehn Minuten lang.",
        ask_for_approval: "Bitten Sie Ihre Administration, diese Anwendung für Ihre Organisation zu genehmigen, und melden Sie \
                           sich dann noch einmal an.",
        complete_every_step: "Beginnen Sie von vorn und führen Sie jeden Schritt aus, den Ihr Anmeldedienst verlangt, etwa den \
                              zweiten Faktor.",
        organisation_decides: "Wenn Sie nicht selbst abgebrochen haben, verwehrt es vielleicht eine Regel Ihrer Organisation: ein \
                               nicht verwaltetes Gerät, ein ungewohnter Ort, ein fehlender zweiter Faktor. Ihre Administration \
                               sieht den Grund im Anmeldeprotokoll des Dienstes.",
        use_work_account: "Versuchen Sie es in einem privaten Fenster und wählen Sie dort Ihr Arbeitskonto.",
        wait: "Es ist nichts verloren. Warten Sie ein paar Minuten und beginnen Sie dann von vorn.",
        ask_administrator: "Das können Sie nicht selbst beheben: Schicken Sie Ihrer Administration die beiden Kennungen unten.",
    },
};
