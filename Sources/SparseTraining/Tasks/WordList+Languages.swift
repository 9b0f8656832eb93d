/// Words of the tasks in two languages; each is one token.
extension WordList {
    /// Where people can be; the same in both languages.
    static let cities = words(
        """
        Athen Berlin Bern Bonn Bremen Delhi Dublin Essen Gent Hamburg Kairo Leipzig Lima London Madrid Mainz Oslo Paris
        Porto Prag Quito Riga Sofia Turin
        """
    )

    /// What ``deeds`` is in German, in the same order.
    static let germanDeeds = words(
        "kauft trägt putzt zeichnet findet hebt malt repariert verkauft zeigt wäscht wiegt"
    )
    /// What ``goods`` is in German, in the same order.
    static let germanGoods = words(
        """
        Äpfel Brot Butter Käse Stoff Mais Eier Fisch Mehl Obst Korn Honig Leinen Milch Nüsse Papier Salz Seife Wein
        Wolle
        """
    )

    /// What tasks in English are worded with, beyond ``links``.
    static let englishLinks = words("first then check so reach about not yes no Does Write Fix Done")
    /// What tasks in German are worded with.
    static let germanLinks = words(
        "ist bei geht nach erst dann prüfe also über nicht ja nein Was Wo Erreicht Schreibe Behebe Fertig"
    )

    /// What tasks in two languages add to a vocabulary: words behind a space, and as a beginning where there is one.
    static var languagePieces: [String] {
        let german = germanDeeds + germanGoods + germanLinks
        let behind = (cities + englishLinks + german).map { " " + $0 }
        let beginnings = (cities + englishLinks + germanLinks).filter { $0.first?.isUppercase == true }
        let answers = Language.allCases.flatMap { [$0.answer(true), $0.answer(false)] }
        return behind + beginnings + answers
    }
}

extension Language {
    /// The deeds and goods of the language, in one order.
    var deeds: [String] { self == .english ? WordList.deeds : WordList.germanDeeds }
    /// What deeds are done to.
    var goods: [String] { self == .english ? WordList.goods : WordList.germanGoods }

    /// *What is*.
    var whatIs: [String] { self == .english ? ["What", " is"] : ["Was", " ist"] }
    /// *Where is*.
    var whereIs: [String] { self == .english ? ["Where", " is"] : ["Wo", " ist"] }
    /// *is*.
    var isWord: String { self == .english ? " is" : " ist" }
    /// *with*, of someone.
    var with: String { self == .english ? " with" : " bei" }
    /// *first*.
    var first: String { self == .english ? " first" : " erst" }
    /// *then*.
    var then: String { self == .english ? " then" : " dann" }
    /// *check*.
    var check: String { self == .english ? " check" : " prüfe" }
    /// *so*.
    var so: String { self == .english ? " so" : " also" }
    /// *yes* or *no*.
    func answer(_ isSo: Bool) -> String {
        self == .english ? (isSo ? "yes" : "no") : (isSo ? "ja" : "nein")
    }
    /// *Does … reach …?*, of two names.
    func reaches(_ first: String, _ second: String) -> [String] {
        self == .english
            ? ["Does", " " + first, " reach", " " + second, "?"]
            : ["Erreicht", " " + first, " " + second, "?"]
    }
    /// *goes to*.
    var goesTo: [String] { self == .english ? [" goes", " to"] : [" geht", " nach"] }
    /// *Write about*.
    var writeAbout: [String] { self == .english ? ["Write", " about"] : ["Schreibe", " über"] }
    /// *not*.
    var not: String { self == .english ? " not" : " nicht" }
    /// *Fix*.
    var fix: String { self == .english ? "Fix" : "Behebe" }
    /// *Done.*
    var done: [String] { [self == .english ? "Done" : "Fertig", "."] }
}
