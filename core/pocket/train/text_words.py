"""Names, places and words of four languages that the text model is taught with, and which are kept for the tests."""

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Scotland": "Edinburgh", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Iceland": "Reykjavik", "Poland": "Warsaw", "Austria": "Vienna",
    "Hungary": "Budapest", "Greece": "Athens", "Turkey": "Ankara", "Russia": "Moscow", "Ukraine": "Kyiv",
    "Belgium": "Brussels", "Switzerland": "Bern", "the Netherlands": "Amsterdam", "Croatia": "Zagreb",
    "Romania": "Bucharest", "Bulgaria": "Sofia", "Serbia": "Belgrade", "Slovakia": "Bratislava",
    "Slovenia": "Ljubljana", "Estonia": "Tallinn", "Latvia": "Riga", "Lithuania": "Vilnius", "Albania": "Tirana",
    "Malta": "Valletta", "Cyprus": "Nicosia", "Georgia": "Tbilisi", "Armenia": "Yerevan",
    "the Czech Republic": "Prague",
    "Japan": "Tokyo", "China": "Beijing", "India": "New Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi",
    "South Korea": "Seoul", "North Korea": "Pyongyang", "Indonesia": "Jakarta", "the Philippines": "Manila",
    "Malaysia": "Kuala Lumpur", "Nepal": "Kathmandu", "Mongolia": "Ulaanbaatar", "Cambodia": "Phnom Penh",
    "Pakistan": "Islamabad", "Bangladesh": "Dhaka", "Iran": "Tehran", "Iraq": "Baghdad", "Syria": "Damascus",
    "Lebanon": "Beirut", "Jordan": "Amman", "Saudi Arabia": "Riyadh", "Qatar": "Doha", "Egypt": "Cairo",
    "Morocco": "Rabat", "Algeria": "Algiers", "Libya": "Tripoli", "Sudan": "Khartoum", "Ethiopia": "Addis Ababa",
    "Kenya": "Nairobi", "Uganda": "Kampala", "Ghana": "Accra", "Nigeria": "Abuja", "Senegal": "Dakar", "Mali": "Bamako",
    "Angola": "Luanda", "Zambia": "Lusaka", "Zimbabwe": "Harare", "South Africa": "Pretoria",
    "the United States": "Washington", "Canada": "Ottawa", "Mexico": "Mexico City", "Cuba": "Havana",
    "Jamaica": "Kingston", "Brazil": "Brasilia", "Argentina": "Buenos Aires", "Chile": "Santiago", "Peru": "Lima",
    "Colombia": "Bogota", "Venezuela": "Caracas", "Ecuador": "Quito", "Uruguay": "Montevideo", "Paraguay": "Asuncion",
    "Panama": "Panama City", "Australia": "Canberra", "New Zealand": "Wellington", "Fiji": "Suva",
}  # fmt: skip

UNKNOWN_COUNTRIES = (
    "Bhutan", "Laos", "Oman", "Yemen", "Kuwait", "Bahrain", "Gabon", "Benin", "Togo", "Niger", "Chad", "Rwanda",
    "Burundi", "Malawi", "Lesotho", "Eritrea", "Somalia", "Gambia", "Haiti", "Belize", "Guyana", "Suriname",
    "Barbados", "Samoa", "Tonga", "Palau", "Nauru", "Moldova", "Belarus", "Andorra", "Monaco", "Kosovo",
)  # fmt: skip
"""Real countries that the model answers with not knowing; every fourth is kept for the tests."""

CITIES = (
    "New York", "Chicago", "Boston", "Seattle", "Denver", "Miami", "Austin", "Toronto", "Vancouver", "Montreal",
    "Munich", "Hamburg", "Cologne", "Frankfurt", "Stuttgart", "Lyon", "Nice", "Marseille", "Toulouse", "Lille", "Milan",
    "Naples", "Venice", "Florence", "Palermo", "Porto", "Seville", "Barcelona", "Malaga", "Geneva", "Lausanne", "Basel",
    "Krakow", "Poznan", "Lodz", "Osaka", "Kyoto", "Hiroshima", "Shanghai", "Shenzhen", "Wuhan", "Mumbai", "Hyderabad",
    "Pune", "Sydney", "Melbourne", "Perth", "Dubai", "Istanbul", "Izmir", "Lagos", "San Francisco", "Los Angeles",
    "Las Vegas", "Hong Kong", "Singapore", "Portland", "Atlanta", "Nashville", "Memphis", "Cleveland", "Pittsburgh",
    "Minneapolis", "San Antonio", "San Jose", "Santa Fe", "El Paso", "Kansas City", "Quebec City", "Birmingham",
    "Leeds", "Cardiff", "Belfast", "Oxford", "Cambridge", "York", "Bath", "Aberdeen", "Rotterdam", "The Hague",
    "Utrecht", "Bruges", "Gothenburg", "Bergen", "Trondheim", "Aarhus", "Tampere", "Saint Petersburg", "Odessa", "Lviv",
    "Graz", "Linz", "Brno", "Split", "Thessaloniki", "Alexandria", "Durban", "Mombasa", "Kumasi", "Fez", "Agadir",
    "Bali", "Chiang Mai", "Da Nang", "Cebu", "Taipei", "Macau", "Lahore", "Jaipur", "Goa", "Colombo", "Jerusalem",
    "Haifa", "Abu Dhabi", "Mecca", "Cusco", "Cartagena", "Cali", "Rosario", "Salvador", "Recife", "Cancun", "Tijuana",
    "Monterrey", "Honolulu", "Anchorage", "Dunedin", "Hobart", "Darwin", "Christchurch", "Orléans", "Besançon",
    "Köln", "München", "Göteborg", "Málaga", "Bogotá", "Saint-Malo", "Baden-Baden", "Stratford-upon-Avon",
)  # fmt: skip

HELD_CITIES = (
    "Tokyo", "Bordeaux", "Valencia", "Glasgow", "Kobe", "Tampa", "Leipzig", "Ghent", "Turin", "Winnipeg", "Bristol",
    "Adelaide", "Salzburg", "Marrakesh", "Sapporo", "Oakland", "Gdansk", "Malmo", "Bilbao", "Cordoba", "New Orleans",
    "San Diego", "Rio de Janeiro", "Cape Town", "Fort Worth", "Salt Lake City", "Tel Aviv", "Ho Chi Minh City",
    "São Paulo", "Zürich", "Düsseldorf", "Nuremberg", "Antwerp", "Manchester", "Liverpool", "Philadelphia", "Phoenix",
    "Houston", "Dallas", "Detroit", "Baltimore", "Nagoya", "Fukuoka", "Busan", "Guadalajara", "Medellin",
    "Johannesburg", "Casablanca", "Chennai", "Bangalore", "Kolkata", "Karachi", "Brisbane", "Auckland", "Halifax",
    "Calgary", "Saint Paul", "Palo Alto", "Ann Arbor", "Clermont-Ferrand",
)  # fmt: skip
"""Never a place in training, neither asked about nor an example. (Tokyo is also the answer to a taught capital.)"""

NAMES = (
    "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate", "Liam", "Mia", "Noah",
    "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tina", "Uma", "Victor", "Wendy", "Yara", "Zoe", "Alice", "Bob", "Charlie",
    "Diana", "Erik", "Fatima", "George", "Hannah", "Ivan", "Julia", "Kenji", "Laura", "Marco", "Nina", "Oscar", "Petra",
    "Ravi", "Sofia", "Thomas", "Ursula", "Vera", "William", "Ahmed", "Chen", "Lena", "Mark", "Sarah", "John", "Mary",
    "Peter", "James", "Lucy", "Max", "Leo", "Ella", "Jonas", "Marie", "Pierre", "Carlos", "Ana", "Yuki", "Priya",
)  # fmt: skip
HELD_NAMES = (
    "Bruno", "Clara", "Dmitri", "Esther", "Gustav", "Ingrid", "Jasmine", "Karim", "Lydia", "Miguel", "Naomi", "Otto",
    "Ramona", "Sven", "Tamara", "Viktoria", "Wesley", "Xavier", "Zelda", "Hiroshi",
)  # fmt: skip

# Each word: its French, Spanish and German. Nouns carry their articles as the sentence needs them.
ANIMALS = {
    "cat": ("Le chat", "El gato", "Die Katze"), "dog": ("Le chien", "El perro", "Der Hund"),
    "bird": ("L'oiseau", "El pájaro", "Der Vogel"), "mouse": ("La souris", "El ratón", "Die Maus"),
    "horse": ("Le cheval", "El caballo", "Das Pferd"), "cow": ("La vache", "La vaca", "Die Kuh"),
    "rabbit": ("Le lapin", "El conejo", "Das Kaninchen"), "girl": ("La fille", "La niña", "Das Mädchen"),
    "boy": ("Le garçon", "El niño", "Der Junge"), "man": ("L'homme", "El hombre", "Der Mann"),
    "woman": ("La femme", "La mujer", "Die Frau"), "fox": ("Le renard", "El zorro", "Der Fuchs"),
    "wolf": ("Le loup", "El lobo", "Der Wolf"), "teacher": ("Le professeur", "El profesor", "Der Lehrer"),
    "doctor": ("Le médecin", "El médico", "Der Arzt"), "queen": ("La reine", "La reina", "Die Königin"),
    "king": ("Le roi", "El rey", "Der König"),
}  # fmt: skip
FEMININE_IN_FRENCH = frozenset({"mouse", "cow", "girl", "woman", "queen"})
VERBS = {  # French masculine, French feminine, Spanish, German
    "sat": ("s'est assis", "s'est assise", "se sentó", "saß"), "slept": ("a dormi", "a dormi", "durmió", "schlief"),
    "jumped": ("a sauté", "a sauté", "saltó", "sprang"), "ate": ("a mangé", "a mangé", "comió", "aß"),
    "played": ("a joué", "a joué", "jugó", "spielte"), "sang": ("a chanté", "a chanté", "cantó", "sang"),
    "waited": ("a attendu", "a attendu", "esperó", "wartete"), "danced": ("a dansé", "a dansé", "bailó", "tanzte"),
}  # fmt: skip
PREPOSITIONS = {
    "on": ("sur", "sobre", "auf"), "under": ("sous", "debajo de", "unter"), "behind": ("derrière", "detrás de",
    "hinter"),
    "near": ("près de", "cerca de", "neben"), "in front of": ("devant", "delante de", "vor"),
}  # fmt: skip
PLACES = {
    "mat": ("le tapis", "la alfombra", "der Matte"), "table": ("la table", "la mesa", "dem Tisch"),
    "bed": ("le lit", "la cama", "dem Bett"), "chair": ("la chaise", "la silla", "dem Stuhl"),
    "tree": ("l'arbre", "el árbol", "dem Baum"), "house": ("la maison", "la casa", "dem Haus"),
    "box": ("la boîte", "la caja", "der Kiste"), "door": ("la porte", "la puerta", "der Tür"),
    "window": ("la fenêtre", "la ventana", "dem Fenster"), "wall": ("le mur", "el muro", "der Mauer"),
    "car": ("la voiture", "el coche", "dem Auto"), "bridge": ("le pont", "el puente", "der Brücke"),
    "church": ("l'église", "la iglesia", "der Kirche"), "garden": ("le jardin", "el jardín", "dem Garten"),
}  # fmt: skip
PHRASES = {
    "hello": ("bonjour", "hola", "hallo"), "thank you": ("merci", "gracias", "danke"), "yes": ("oui", "sí", "ja"),
    "good morning": ("bonjour", "buenos días", "guten Morgen"), "good night": ("bonne nuit", "buenas noches",
    "gute Nacht"),
    "goodbye": ("au revoir", "adiós", "auf Wiedersehen"), "no": ("non", "no", "nein"), "water": ("eau", "agua",
    "Wasser"),
    "bread": ("pain", "pan", "Brot"), "milk": ("lait", "leche", "Milch"), "apple": ("pomme", "manzana", "Apfel"),
    "book": ("livre", "libro", "Buch"), "sun": ("soleil", "sol", "Sonne"), "moon": ("lune", "luna", "Mond"),
    "red": ("rouge", "rojo", "rot"), "blue": ("bleu", "azul", "blau"), "green": ("vert", "verde", "grün"),
    "white": ("blanc", "blanco", "weiß"), "black": ("noir", "negro", "schwarz"), "friend": ("ami", "amigo", "Freund"),
    "cat": ("chat", "gato", "Katze"), "dog": ("chien", "perro", "Hund"), "house": ("maison", "casa", "Haus"),
    "day": ("jour", "día", "Tag"), "night": ("nuit", "noche", "Nacht"), "love": ("amour", "amor", "Liebe"),
    "please": ("s'il vous plaît", "por favor", "bitte"), "one": ("un", "uno", "eins"), "two": ("deux", "dos", "zwei"),
    "three": ("trois", "tres", "drei"), "school": ("école", "escuela", "Schule"), "sea": ("mer", "mar", "Meer"),
    "I love you": ("Je t'aime", "Te quiero", "Ich liebe dich"),
    "Where is the station?": ("Où est la gare ?", "¿Dónde está la estación?", "Wo ist der Bahnhof?"),
    "How are you?": ("Comment ça va ?", "¿Cómo estás?", "Wie geht es dir?"),
    "My name is Anna.": ("Je m'appelle Anna.", "Me llamo Anna.", "Ich heiße Anna."),
    "I am hungry.": ("J'ai faim.", "Tengo hambre.", "Ich habe Hunger."),
}  # fmt: skip
LANGUAGES = ("French", "Spanish", "German")
OTHER_LANGUAGES = (
    "Italian",
    "Dutch",
    "Polish",
    "Swedish",
    "Russian",
    "Chinese",
    "Japanese",
    "Arabic",
    "Latin",
    "Greek",
)

TOPICS = (
    "quantum mechanics", "photosynthesis", "the French Revolution", "black holes", "democracy", "inflation", "opera",
    "the stock market", "evolution", "climate change", "the Roman Empire", "electricity", "football", "chess", "jazz",
    "philosophy", "the internet", "blockchain", "genetics", "volcanoes", "dinosaurs", "the Middle Ages", "ballet",
    "nuclear power", "vaccines", "the big bang", "poetry", "cooking", "gardening", "taxes", "marketing", "psychology",
    "calculus", "algebra", "geometry", "economics", "architecture", "sculpture", "the moon landing", "submarines",
    "airplanes", "steam engines", "relativity", "string theory", "the nervous system", "digestion", "chemistry",
    "linear algebra", "compilers", "operating systems", "databases", "neural networks", "cryptography", "robots",
    "space travel", "satellites", "comets", "earthquakes", "tsunamis", "rainforests", "deserts", "penguins",
)  # fmt: skip
"""Things that the model does not know; every fifth is kept for the tests."""

SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant. Be concise.", "Be brief.", "Answer briefly.",
    "You are a friendly assistant.", "You are a concise assistant.", "Answer the question.", "You are helpful.",
    "You are a helpful, honest assistant. Keep your answers short.", "Be polite and precise.",
    "You are an AI assistant.",
    "You are an assistant that can call tools when they are needed.", "Please answer in short sentences.",
    "You are a careful assistant. If you do not know the answer, say so.", "You help the user. Use tools when needed.",
    "You are a helpful vision assistant. Be concise.", "You are a test model.", "Respond in plain text.",
)  # fmt: skip
TRANSLATOR_SYSTEMS = (
    "You are a translator. Always respond in the target language only.", "You are a translator.",
    "You translate text. Answer with the translation only.", "Translate what the user writes. No explanations.",
    "You are a professional translator. Respond only with the translation.",
)  # fmt: skip

_COMMON_TEXT = (
    "able about above accept across act add afternoon again agree air airport all allow almost alone along already "
    "always angry animal answer anything apartment appear arm army arrive art ask aunt autumn away baby back bag ball "
    "bank basket beach bean bear beautiful because become before begin believe bell belong below bench better bicycle "
    "bill birthday bite blanket board boat body bone borrow both bottle bottom bowl brain branch brave break "
    "breakfast bright bring broken brother brown brush bucket build building burn bus business busy butter button buy "
    "cake call camera camp candle card careful carry castle catch cave ceiling celebrate center certain chain chance "
    "change cheap cheese chicken choose circle class clever climb clock cloth cloud coat coffee coin collect comb "
    "comfortable common company complete contain cook copper corner cotton cough country courage cousin cover crazy "
    "cream crowd cry cup curious cut damage dangerous deep deliver depend describe desert desk different difficult "
    "dinner direction discuss distance divide doubt draw dream dress drink drive drop dust eager earn earth east easy "
    "edge egg elephant engine enjoy enough enter equal evening event every exact example excellent except exchange "
    "expensive explain eye face factory fail fall family famous farm father feather feel fence fever field fight find "
    "finger finish fire fit flag flat floor flower fly follow food forget fork forward free fresh fruit funny "
    "furniture game gentle gift give glass glove goat gold grain grass great ground group grow guess guest guitar "
    "hair half hammer hand happen harbor hat hate head health hear heart heavy help hide hill history hole holiday "
    "honest hope hospital hotel hungry hurry husband idea important inside invite iron island jacket jelly join "
    "journey judge juice jump keep kind kitchen kite knee knife know ladder lady lake lamp large laugh lawyer lazy "
    "leather learn leave lemon lesson letter library lift listen little lock lonely look lose lucky lunch machine "
    "magazine make map market marry meal meat medicine meet member metal middle mind minute mirror miss money monkey "
    "morning mother mountain mouth move museum music narrow nature neck needle neighbor nervous nest never newspaper "
    "nice noise north nose notice number nurse nut object ocean offer office oil onion only orange order other "
    "outside over owner page paint pair paper parent park part party patient pay peace pencil pepper perfect person "
    "photograph picture piece pillow pilot plan plant plate play pocket point police pond poor popular possible "
    "potato pretty price prince prison prize problem promise proud public pull pupil purple push puzzle question "
    "quick quiet quite rain read ready reason receive remember repair reply rest result return rice ride ring river "
    "road rocket roof room rope rough round rule run sail salad salt sand save science scissors search season seat "
    "secret seem sell send sentence serious servant shape share sharp shelf shine ship shirt shoe shop shoulder shout "
    "show shut sick side sign silent silver simple singer sister skin sleep smell smile smoke soap soft soldier soup "
    "south space speak special spoon square stairs star station stay steam step stone storm strange street strong "
    "student study sugar suit summer surprise sweet swim switch table tail take tall taste tax teach team tear "
    "telephone tell tent thank thief thing think thirsty thread throw thunder ticket tidy tie tiger time tired "
    "together tomorrow tongue tool touch towel tower town toy track trade train travel treasure trip trouble truck "
    "trust try turn twice ugly umbrella uncle under uniform until usual valley value vegetable village violin visit "
    "voice wait walk want warm wash watch wave weak wear week weight west wheel whisper wide wife wild wind wine wing "
    "winter wire wise wish wonder wood wool work world worry write wrong yard yesterday young "
)
COMMON = tuple(_COMMON_TEXT.split())
"""Everyday words without meaning to the model: for sentences that it does not understand, and for copying."""
