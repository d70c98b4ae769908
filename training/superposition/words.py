"""Words that are one token each to the base model, with a space before them."""

from __future__ import annotations

from training.tasks.words import NAMES as _ALL_NAMES

_NOUNS = (
    "cat dog sun car box map key pen cup hat bed bus tree fish bird rock lake road ship star moon "
    "door book ball king wolf bear lion frog duck goat corn rice milk salt iron gold wood sand "
    "snow rain wind fire leaf seed rose ring bell drum horn coin gate wall roof tent rope boat "
    "cave hill farm park town fork bowl lamp desk chair shirt shoe coat glove belt stone brick "
    "glass paper knife spoon plate horse sheep mouse snake eagle apple lemon peach grape bread "
    "honey sugar tea bank bone cake card cloud clock crown dress flag foot game hand head heart "
    "ice jar kite leg lip mask neck nose oil pan pig pin pot rat rug sail sea sock song soup tail "
    "toy van web wing yard zoo"
)
NOUNS = tuple(_NOUNS.split())
_LEFT_OUT = {
    *("Tina", "Olga", "Zoe", "Ida", "Lena", "Fatima", "Priya", "Leila", "Hana", "Carla", "Liam"),
    *("Ravi", "Kofi"),  # several tokens each
    *("Tom", "Max"),  # whom some wordings are about
}
NAMES = tuple(name for name in _ALL_NAMES if name not in _LEFT_OUT)
_COLOURS = "red blue green yellow white black pink grey brown purple orange gold silver"
COLOURS = tuple(_COLOURS.split())
DIGITS = tuple("0123456789")
"""These have no space before them: a digit is a token whatever stands before it."""
CAPITALS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SMALL = tuple("bcdefghjklmnopqrstuvwxyz")  # a and I are words
_CITIES = (
    "Rome Oslo Bonn Paris Berlin London Madrid Lisbon Vienna Prague Warsaw Athens Cairo Tokyo "
    "Delhi Lima Boston Dallas Denver Miami Chicago Seattle Toronto Sydney Moscow Milan Naples "
    "Venice Zurich Geneva Dublin Oxford Cambridge York Leeds Bath Austin Phoenix Houston Kyoto "
    "Seoul Beijing Shanghai Mumbai Havana Stockholm Helsinki Brussels Amsterdam Munich Hamburg "
    "Florence"
)
CITIES = tuple(_CITIES.split())
_PLACES = (
    "farm mill bridge church harbour home park school lake forest village town city river market "
    "station library museum castle tower garden hotel bank beach hill valley island port temple "
    "square street bakery shop office airport zoo pool theater factory house cave field"
)
PLACES = tuple(_PLACES.split())
_BEINGS = (
    "cat dog bird fish pet hunter animal mammal bear wolf horse cow sheep goat lion tiger rabbit "
    "mouse rat duck chicken eagle owl hawk frog snake turtle insect ant bee fly butterfly spider "
    "plant tree flower rose oak farmer teacher doctor nurse singer dancer writer painter actor "
    "artist student worker driver pilot sailor soldier king queen prince poet cook baker runner"
)
BEINGS = tuple(_BEINGS.split())
_ADJECTIVES = (
    "wild tame small large big round flat hot cold soft hard wet dry old new young fast slow tall "
    "short rich poor brave calm kind smart strong weak sweet sour bitter clean dark light heavy "
    "loud quiet happy sad rare common"
)
ADJECTIVES = tuple(_ADJECTIVES.split())
_THINGS = (
    "apple pear plum date fig kiwi lemon grape peach banana orange cherry bread cheese butter egg "
    "milk honey cake pie soup salt sugar tea coffee pen book cup hat ring key ball coin drum shirt "
    "shoe lamp desk chair table clock watch phone radio camera bike boat car kite doll puzzle "
    "guitar piano flute violin knife fork spoon plate bowl"
)
THINGS = tuple(_THINGS.split())
_MORE_NAMES = (
    "Alan Albert Alex Alfred Alice Amanda Amy Andrea Andrew Angela Ann Anna Anne Anthony Arthur "
    "Barbara Ben Betty Bill Bob Brian Bruce Carl Carol Caroline Catherine Charles Charlie "
    "Charlotte Chris Christine Claire Clara Clark Craig Dan Daniel David Dean Dennis Diana Donald "
    "Dorothy Doug Earl Ed Edgar Edith Edward Eleanor Elizabeth Ella Ellen Emily Emma Eric Ernest "
    "Eva Eve Faith Felix Frances Francis Frank Fred Gary George Gordon Grace Greg Hannah Harold "
    "Harry Heather Helen Henry Herbert Holly Howard Hugh Hugo Ian Ivan Ivy Jack Jacob Jake James "
    "Jane Janet Jason Jay Jean Jeff Jennifer Jenny Jeremy Jerry Jesse Jessica Jill Jim Jimmy Joan "
    "Joe Joel John Johnny Jonathan Jordan Jose Joseph Josh Joy Joyce Juan Judith Judy Julia "
    "Julian Julie Karen Karl Kate Katie Keith Kelly Ken Kenneth Kevin Kim Kurt Larry Laura Lauren "
    "Lawrence Lee Len Leo Leon Leonard Lewis Lily Linda Lisa Lloyd Louis Louise Lucas Lucy Luis "
    "Luke Lynn Marcus Margaret Maria Marie Mario Mark Martha Martin Mary Matt Matthew Maurice Max "
    "Maya Melissa Michael Michelle Mike Miles Molly Monica Morgan Nancy Naomi Nathan Neil Nelson "
    "Nicholas Nick Nicole Nina Noah Norman Oliver Oscar Owen Pam Patricia Patrick Paul Penny Pete "
    "Peter Phil Philip Phillip Rachel Ralph Ray Raymond Rebecca Rex Rich Richard Rick Rob Robert "
    "Robin Roger Roland Ron Ronald Rosa Rose Ross Roy Ruby Russell Ruth Ryan Sally Sam Samantha "
    "Samuel Sandra Sandy Sara Sarah Scott Sean Sharon Shirley Sid Simon Sofia Sophia Stan Stanley "
    "Stephanie Stephen Steve Steven Stuart Sue Susan Tara Ted Teresa Terry Thomas Tim Timothy "
    "Todd Tom Tommy Tony Tyler Vera Vernon Victor Victoria Vincent Virginia Walt Walter Warren "
    "Wayne Wendy Will William "
)
MORE_NAMES = tuple(_MORE_NAMES.split())
