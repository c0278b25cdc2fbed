"""Texts to read: words, made-up words, codes and random strings, and the rule that keeps some out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

LONGEST = 12
"""Characters in the longest text that is drawn, spaces counted."""


def listed(words: str) -> list[str]:
    """The words of a text."""
    return words.split()


WORDS = listed("""
able about above access account across action active add address adult after again age agent ahead air airport alarm
all allow alone along alpha also always amber and angel animal answer apple april area arm arrow art ask atlas atom
attic audio august aunt autumn away baby back badge bag baker ball banana band bank bar barn base basket bath beach
bean bear beauty bed beef before begin bell below bench berry best beta better big bike bird black blend block blood
blue board boat body bold bone book boot border both bottle bottom bowl box boy brain brake branch brave bread break
breeze brick bridge brief bright bring broad bronze brother brown brush bubble bucket budget build bus busy butter
button buy cabin cable cafe cake call calm camera camp candle candy canyon cap car card care cargo carpet carrot case
cash castle cat cave cellar center chair chalk chance change charge cheap check cheese cherry chess chief child choice
church circle city class clean clear clerk click cliff climb clock close cloth cloud clover club coach coast coat
cobalt code coffee coin cold color comet common copper copy coral corn corner cost cotton count cover cow crane cream
creek cross crowd crown crystal cup curve cycle daily dairy dance danger dark data date dawn day deal dear december
decide deep deer delta dense desert design desk detail device dinner direct dish dollar door double down draft dragon
draw dream dress drink drive drop dry duck dust eagle early earth east easy echo edge egg eight electric elm ember
empty end energy engine enter entry equal error event ever every exam exit expert extra eye fabric face fact fair fall
family farm fast father feather february fence fever field fig file final find finger fire first fish five flag flame
flat flight floor flour flower fly focus fog food foot forest fork form forty four fox frame free fresh friday friend
frog front frost fruit fuel full future galaxy game gamma garden gas gate gentle giant gift ginger girl give glass
globe glove goat gold good goose grand grape grass gravity great green grid ground group grow guard guest guide guitar
half hall hammer hand happy harbor hard harvest hat hawk hazel head health heart heat heavy hello help hen hero hill
hobby holiday home honey hope horse hotel hour house hub human hunter ice idea image inch indigo info inside iron
island item ivory jacket jade january jar jazz jewel job join joke juice july jump june jungle junior jury just kettle
key kind king kit kitchen kite knife label ladder lake lamp land large laser last late laugh lava lawn layer leader
leaf learn left legal lemon lesson letter level library life lift light lily lime limit line lion list little live
load local lock logic long look lost love lucky lunar lunch machine magic magnet mail main major make man maple march
market mask match math matrix may meadow meal measure meat medal melon melt memory menu metal meter middle mild milk
mind mine mint minute mirror mix model modern moment monday money monkey month moon morning moss mother motor mouse
mouth move movie music name narrow nation nature near neck needle nest net neural never new news next nice night nine
noble noise noon north nose note november number nurse oak oasis object ocean october office oil old olive one onion
only open orange orbit orchid order other outside oven over owl own page paint pair palace palm panda panel paper
parade parcel parent park part party pass pasta path pause peace peach pearl pen pencil people pepper person phone
photo piano picnic picture pilot pine pink pipe pixel pizza place plain planet plant plate play please plum pocket
poem point polar pond pool port post potato power press price prime print prize proof public pull pulse pump purple
push puzzle python quarter queen quest quick quiet quiz rabbit race radar radio rail rain ranch random range rapid
raven ready real record red reed reset rest result rice rich ride right ring river road robin robot rock rocket roof
room rope rose round route royal ruby rule run safe sail salad sale salmon salt same sand saturday sauce save scale
school science score screen sea search season seat second secret seed select senior september serve seven shade shadow
shape shark sheep shelf shell shine ship shirt shoe shop shore short show shower side sign signal silent silk silver
simple singer single sister six size skill sky sleep slow small smart smile smoke smooth snack snow soap soccer soft
soil solar solid song soon sound soup south space spare spark speed spice spin spirit spoon sport spring square stable
staff stage stamp star start state station steam steel stem step still stone stop store storm story street string
strong studio style sugar summer sun sunday super supply surf swan sweet swim swing switch table talent tall tango
tank tape target taxi tea team tennis tensor tent test text thank theory thin third three thunder thursday ticket tide
tiger time tin tiny title toast today token tomato tool top torch total touch tower town track trade trail train
travel tree trend tribe trip truck true trust tuesday tulip tunnel turtle twelve twenty twin two type uncle under
union unit upper urban use valley value vector velvet verb very video view village violet visit voice volt vote wagon
wait walk wall walnut warm wash watch water wave wax way weather web wednesday week welcome west whale wheat wheel
white wide wild willow win wind window wine wing winner winter wire wise wolf wonder wood wool word work world yard
year yellow yes young zebra zero zone zoom
""")

CAPITALS = listed("""
MLX AI GPU CPU USA API NASA HTML JSON RAM USB LED TV OK NEW STOP EXIT SALE OPEN HELLO WIFI PDF FAQ VIP SOS UK EU BBC
CNN IBM DVD CD HD SQL XML CSS HTTP URL LLM VLM GPT NLP OCR RGB PNG JPG GIF SSH DNS TCP KPI CEO CFO HR IT PR QA UFO GPS
ATM PIN SIM MENU TAXI BUS POLICE ZONE SLOW DANGER PUSH PULL
""")

ONSETS = listed(
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sk sl sm sn sp st t th tr v w y z"
)
VOWELS = listed("a e i o u ai ea ee ie oa oo ou")
CODAS = ["", "", "", *listed("b ck d ft g k l ll lm ln m n nd ng nt p r rd rk rn s sh ss st t th x zz")]

CLEAR_UPPER, CLEAR_LOWER, CLEAR_DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnpqrstuvwxyz", "123456789"
"""Characters of random strings: without I, l, O, o and 0, which look alike in many fonts. Words have them all."""

ALIKE = frozenset("cCoOsSvVwWxXzZuU0")
"""Characters whose two cases differ by size alone: a random string needs another one beside them to show the scale."""


def is_reserved(text: str) -> bool:
    """True for texts kept for measuring: one in sixteen by hash, and any that holds both words of the golden text."""
    folded = text.lower().split()
    if "hello" in folded and "mlx" in folded:
        return True
    return hashlib.sha256(" ".join(folded).encode()).digest()[0] < 16


def random_string(rng: Random, length: int) -> str:
    """A string with no meaning, of one kind or mixed, whose case can be told from its letters."""
    while True:
        kind = rng.random()
        if kind < 0.3:
            pool = CLEAR_UPPER
        elif kind < 0.6:
            pool = CLEAR_LOWER
        elif kind < 0.7:
            pool = CLEAR_DIGITS
        elif kind < 0.85:
            pool = CLEAR_UPPER + CLEAR_DIGITS
        else:
            pool = CLEAR_UPPER + CLEAR_LOWER + CLEAR_DIGITS
        text = "".join(rng.choice(pool) for _ in range(length))
        if any(char not in ALIKE for char in text):
            return text


def cased(rng: Random, word: str) -> str:
    """The word as people write it: Capitalised, lower or UPPER."""
    kind = rng.random()
    return word.capitalize() if kind < 0.42 else word if kind < 0.75 else word.upper()


def made_up(rng: Random) -> str:
    """A word that could be English but mostly is not."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice((1, 2, 2, 3))))


def code(rng: Random) -> str:
    """What stands on signs and labels: times, prices, plates, short names."""
    d = rng.randint
    return rng.choice(
        (
            f"{d(0, 23)}:{d(0, 59):02}",
            f"${d(1, 999)}",
            f"{d(1, 99)}%",
            f"{d(1, 31)}/{d(1, 12)}",
            f"{rng.choice(CLEAR_UPPER)}-{d(1, 99)}",
            f"{random_string(rng, 3).upper()} {d(1, 9999)}",
            f"No. {d(1, 99)}",
            f"{d(1900, 2099)}",
            f"{d(0, 9)}.{d(0, 99)}",
            f"#{d(1, 999)}",
            f"{cased(rng, rng.choice(WORDS))}!",
            f"{rng.choice(WORDS).capitalize()}?",
            f"{d(1, 99)} + {d(1, 99)}",
            f"({cased(rng, rng.choice(WORDS))})",
        )
    )


def one_word(rng: Random) -> str:
    """A word, a made-up word or an abbreviation, cased."""
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(CAPITALS)
    return cased(rng, rng.choice(WORDS) if kind < 0.55 else made_up(rng))


def phrase(rng: Random) -> str:
    """Two words or a word and a string, in one of the usual casings."""
    kind = rng.random()
    if kind < 0.6:
        return f"{one_word(rng)} {one_word(rng)}"
    if kind < 0.8:
        text = f"{rng.choice(WORDS)} {rng.choice(WORDS)}"
        return rng.choice((text, text.upper(), text.capitalize(), text.title()))
    return f"{one_word(rng)} {random_string(rng, rng.randint(1, 4))}"


def any_text(rng: Random, longest: int = LONGEST) -> str:
    """A text of any kind, at most `longest` characters."""
    while True:
        kind = rng.random()
        if kind < 0.3:
            text = one_word(rng)
        elif kind < 0.52:
            text = phrase(rng)
        elif kind < 0.92:
            most = max(2, min(10, longest))
            length = max(rng.randint(2, most), rng.randint(2, most))  # the long ones are the hard ones
            text = random_string(rng, length)
        else:
            text = code(rng)
        if len(text) <= longest:
            return text


def training_text(rng: Random, longest: int = LONGEST) -> str:
    """A text that may be drawn for training."""
    while is_reserved(text := any_text(rng, longest)):
        pass
    return text


def held_out_text(rng: Random, make: Callable[[Random], str] = any_text, longest: int = LONGEST) -> str:
    """A text of the kind that `make` makes which training never shows."""
    while not (is_reserved(text := make(rng)) and len(text) <= longest):
        pass
    return text
