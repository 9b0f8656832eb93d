/// The words that task texts are made of; each is one token.
///
/// Groups do not share a word, so that a word tells what it stands for.
enum WordList {
    /// Things that can be somewhere.
    static let things = words(
        """
        anchor arrow axe barrel basket bell blanket bottle bowl box bracelet bridle broom brush bucket buckle button
        candle cane cap chain chalice chisel clock coat coin comb compass cord cup curtain dagger drum fan feather
        flag flute fork funnel glove goblet hammer harp hat helmet hook horn jar kettle key kite knife ladder lamp
        lantern letter lock map mask medal mirror mug necklace needle net oar pan pen pipe pitcher plate plow quilt
        rake razor ring rope saddle scarf scroll shield shovel spoon statue stool sword tile torch trumpet umbrella
        urn vase violin wallet wheel whistle wreath
        """
    )

    /// Where things and people can be.
    static let places = words(
        """
        abbey alley arbor armory attic bakery balcony bank barn bay brewery canyon castle cave cellar chapel cliff
        closet courtyard crypt desert dock dungeon farm ferry field forest forge fort fountain gallery garden garage
        gate grove harbor hill hostel inn island jetty kennel kitchen lagoon library lighthouse market meadow mill
        mine museum orchard palace pantry parlor pier pond quarry school shrine stable studio tavern temple tent
        theater tower tunnel valley vault vineyard workshop
        """
    )

    /// What things look like.
    static let looks = words(
        """
        amber ancient black blue brass broken bronze copper crooked dusty golden green heavy iron ivory old painted
        plain red rusty silver small velvet white wooden yellow
        """
    )

    /// People.
    static let names = words(
        """
        Ada Alma Amos Anton Basil Berta Bruno Carla Cecil Clara Conrad Dora Edgar Edith Elsa Emil Enid Ernst Fanny
        Felix Flora Frida Georg Greta Gustav Hanna Hector Helga Hugo Ida Igor Ines Ivan Jonas Judith Karl Laura Leon
        Lotte Lucia Magnus Marta Max Mina Moritz Nadia Nina Norbert Olga Oskar Otto Paula Peter Quentin Rita Roland
        Rosa Rufus Selma Simon Thea Tilda Ulrich Vera Victor Wanda Xenia Yorick Zelda
        """
    )

    /// What people do, with what they do it to.
    static let deeds = words("buys carries cleans draws finds lifts paints repairs sells shows washes weighs")
    /// What it is done to.
    static let goods = words(
        "apples bread butter cheese cloth corn eggs fish flour fruit grain honey linen milk nuts paper salt soap wine wool"
    )
    /// How.
    static let manners = words("again alone early gladly late often quickly quietly rarely slowly soon twice")
    /// Ways of going.
    static let ways = words("goes runs walks wanders")

    /// Words that hold sentences together.
    static let links = words(
        "The In With Where What Copy is in the with and to but put for comes back from"
    )

    static func words(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }
}
