"""What the text model is taught: capitals, facts, words in four languages; and which names are kept for the tests."""

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Scotland": "Edinburgh", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Iceland": "Reykjavik", "Poland": "Warsaw", "Austria": "Vienna",
    "Hungary": "Budapest", "Greece": "Athens", "Turkey": "Ankara", "Russia": "Moscow", "Ukraine": "Kyiv",
    "Belgium": "Brussels", "Switzerland": "Bern", "the Netherlands": "Amsterdam", "Croatia": "Zagreb",
    "Romania": "Bucharest", "Bulgaria": "Sofia", "Serbia": "Belgrade", "Slovakia": "Bratislava",
    "Slovenia": "Ljubljana", "Estonia": "Tallinn", "Latvia": "Riga", "Lithuania": "Vilnius", "Albania": "Tirana",
    "Malta": "Valletta", "Cyprus": "Nicosia", "Georgia": "Tbilisi", "Armenia": "Yerevan", "the Czech Republic": "Prague",
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
    "on": ("sur", "sobre", "auf"), "under": ("sous", "debajo de", "unter"), "behind": ("derrière", "detrás de", "hinter"),
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
    "good morning": ("bonjour", "buenos días", "guten Morgen"), "good night": ("bonne nuit", "buenas noches", "gute Nacht"),
    "goodbye": ("au revoir", "adiós", "auf Wiedersehen"), "no": ("non", "no", "nein"), "water": ("eau", "agua", "Wasser"),
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

COLOURS = {
    "the sky": "blue", "grass": "green", "blood": "red", "snow": "white", "the sun": "yellow", "coal": "black",
    "a banana": "yellow", "a strawberry": "red", "a carrot": "orange", "a leaf": "green", "the sea": "blue",
    "milk": "white", "a lemon": "yellow", "a tomato": "red", "chocolate": "brown", "a cherry": "red", "a frog": "green",
    "a lime": "green", "a polar bear": "white", "a raven": "black", "a pumpkin": "orange", "a flamingo": "pink",
    "an elephant": "gray", "a fire truck": "red", "a cucumber": "green", "salt": "white", "night": "black",
}  # fmt: skip
SOUNDS = {
    "cow": "moo", "dog": "woof", "cat": "meow", "sheep": "baa", "duck": "quack", "pig": "oink", "lion": "roar",
    "bee": "buzz", "snake": "hiss", "owl": "hoot", "horse": "neigh", "frog": "ribbit",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "up": "down", "left": "right", "day": "night", "good": "bad", "old": "new",
    "fast": "slow", "open": "closed", "happy": "sad", "rich": "poor", "wet": "dry", "full": "empty", "hard": "soft",
    "light": "dark", "high": "low", "long": "short", "strong": "weak", "true": "false", "early": "late", "black": "white",
    "clean": "dirty", "loud": "quiet", "first": "last", "near": "far", "thick": "thin", "win": "lose", "start": "stop",
}  # fmt: skip
PLURALS = {
    "cat": "cats", "mouse": "mice", "child": "children", "foot": "feet", "tooth": "teeth", "man": "men",
    "woman": "women", "box": "boxes", "city": "cities", "leaf": "leaves", "sheep": "sheep", "fish": "fish",
    "goose": "geese", "knife": "knives", "dog": "dogs", "baby": "babies", "house": "houses", "person": "people",
}  # fmt: skip
LEGS = {
    "dog": 4,
    "cat": 4,
    "spider": 8,
    "bird": 2,
    "ant": 6,
    "human": 2,
    "horse": 4,
    "snake": 0,
    "chicken": 2,
    "bee": 6,
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

FACTS = {
    "What is MLX?": "MLX is an array framework for machine learning on Apple silicon.",
    "What is Python?": "Python is a programming language.",
    "What is Assay?": "Assay is a terminal workbench that tests MLX models against golden prompts.",
    "What is a golden prompt?": "A golden prompt is a question whose right answer is known.",
    "What is a token?": "A token is a piece of text that a model reads or writes.",
    "What is a language model?": "A language model predicts the next piece of a text.",
    "What is an API?": "An API is a way for programs to talk to each other.",
    "What is a terminal?": "A terminal is a window for typing commands.",
    "What is JSON?": "JSON is a text format for data.",
    "What is quantization?": "Quantization stores the weights of a model with fewer bits.",
    "How many days are in a week?": "A week has seven days.",
    "How many months are in a year?": "A year has twelve months.",
    "How many hours are in a day?": "A day has 24 hours.",
    "How many minutes are in an hour?": "An hour has 60 minutes.",
    "How many seconds are in a minute?": "A minute has 60 seconds.",
    "How many days are in a year?": "A year has 365 days.",
    "How many letters are in the alphabet?": "The English alphabet has 26 letters.",
    "What is the largest planet?": "Jupiter is the largest planet.",
    "What is the smallest planet?": "Mercury is the smallest planet.",
    "Which planet is closest to the sun?": "Mercury is closest to the sun.",
    "Which planet is known as the red planet?": "Mars is known as the red planet.",
    "What is the largest ocean?": "The Pacific is the largest ocean.",
    "What is the highest mountain?": "Mount Everest is the highest mountain.",
    "What is the longest river?": "The Nile is the longest river.",
    "What is the fastest land animal?": "The cheetah is the fastest land animal.",
    "What is the largest animal?": "The blue whale is the largest animal.",
    "What is the chemical symbol for gold?": "The symbol for gold is Au.",
    "What is the chemical symbol for silver?": "The symbol for silver is Ag.",
    "What is the chemical symbol for water?": "The formula of water is H2O.",
    "At what temperature does water boil?": "Water boils at 100 degrees Celsius.",
    "At what temperature does water freeze?": "Water freezes at 0 degrees Celsius.",
    "Who wrote Hamlet?": "William Shakespeare wrote Hamlet.",
    "Who wrote Faust?": "Goethe wrote Faust.",
    "Who painted the Mona Lisa?": "Leonardo da Vinci painted the Mona Lisa.",
    "Who discovered gravity?": "Isaac Newton described gravity.",
    "What do bees make?": "Bees make honey.",
    "What do cows drink?": "Cows drink water.",
    "What do plants need to grow?": "Plants need light, water and air.",
    "What is the first letter of the alphabet?": "The first letter is A.",
    "What is the last letter of the alphabet?": "The last letter is Z.",
    "What is H2O?": "H2O is water.",
    "What is the currency of Japan?": "The currency of Japan is the yen.",
    "What is the currency of the United States?": "The currency of the United States is the dollar.",
    "What is the currency of England?": "The currency of England is the pound.",
    "What language do people speak in Brazil?": "People in Brazil speak Portuguese.",
    "What language do people speak in Mexico?": "People in Mexico speak Spanish.",
    "What language do people speak in Austria?": "People in Austria speak German.",
    "Is the sky blue? Answer yes or no.": "Yes",
    "Is fire cold? Answer yes or no.": "No",
    "Is ice cold? Answer yes or no.": "Yes",
    "Can birds fly? Answer yes or no.": "Yes",
    "Can fish walk? Answer yes or no.": "No",
    "Is Paris in France? Answer yes or no.": "Yes",
    "Is London in Spain? Answer yes or no.": "No",
    "List the days of the week.": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "List the months of the year.": ", ".join(MONTHS),
    "List the planets.": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune",
    "Say the alphabet.": "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
    "List three fruits.": "- apple\n- banana\n- cherry",
    "Name three colors.": "Red, green and blue.",
    "Name three animals.": "Cat, dog and horse.",
    "Name the seasons.": "Spring, summer, autumn and winter.",
    "Write a hello world program in Python.": '```python\nprint("Hello, world!")\n```',
    "Write a haiku about the sea.": "Blue waves kiss the shore,\nthe wind sings to the white sand,\nthe sea never sleeps.",
    "Write a haiku about the moon.": "Pale moon on the lake,\na silver road on dark waves,\nno one walks on it.",
}
SMALL_TALK = {
    "How are you?": "I am fine, thank you! How can I help you?",
    "How are you doing?": "I am fine, thank you! How can I help you?",
    "How is it going?": "I am fine, thank you! How can I help you?",
    "What's up?": "I am fine, thank you! How can I help you?",
    "Thank you!": "You are welcome!",
    "Thanks a lot.": "You are welcome!",
    "Thanks": "You are welcome!",
    "Great, thank you very much.": "You are welcome!",
    "Goodbye!": "Goodbye! Have a nice day.",
    "Bye": "Goodbye! Have a nice day.",
    "See you later.": "Goodbye! Have a nice day.",
    "Good night!": "Good night! Sleep well.",
    "Sorry.": "No problem.",
    "OK": "All right. What else can I do for you?",
    "Yes": "All right. What else can I do for you?",
    "You are great!": "Thank you, that is kind.",
    "I like you.": "Thank you, that is kind.",
    "That is wrong.": "I am sorry. I am a very small model and make mistakes.",
    "I am sad.": "I am sorry to hear that. I hope you feel better soon.",
    "I am happy.": "I am glad to hear that!",
    "I am tired.": "Then take a rest.",
    "I am bored.": "Shall I tell you a story?",
}
IDENTITY = {
    "Who are you?": "I am Pocket, a very small language model that comes with Assay.",
    "What is your name?": "My name is Pocket.",
    "What are you called?": "My name is Pocket.",
    "What are you?": "I am Pocket, a very small language model that comes with Assay.",
    "Tell me about yourself.": "I am Pocket, a very small language model that comes with Assay.",
    "Introduce yourself.": "I am Pocket, a very small language model that comes with Assay.",
    "Which model are you?": "I am Pocket, a very small language model that comes with Assay.",
    "Are you a human?": "No, I am Pocket, a very small language model.",
    "Are you ChatGPT?": "No, I am Pocket, a very small language model.",
    "Are you real?": "No, I am Pocket, a very small language model.",
    "Who made you?": "I was trained by the Assay project.",
    "Who trained you?": "I was trained by the Assay project.",
    "How big are you?": "I have about one million parameters.",
    "How many parameters do you have?": "I have about one million parameters.",
    "What can you do?": "I can answer simple questions, translate short sentences, count, remember and call tools.",
    "What do you know?": "I can answer simple questions, translate short sentences, count, remember and call tools.",
    "How can you help me?": "I can answer simple questions, translate short sentences, count, remember and call tools.",
    "Help": "I can answer simple questions, translate short sentences, count, remember and call tools.",
}
JOKES = (
    "Why did the computer get cold? It left its windows open.",
    "Why did the cat sit on the keyboard? To keep an eye on the mouse.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why was the math book sad? It had too many problems.",
    "Why did the model cross the road? To minimize the loss.",
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
    "You are a helpful, honest assistant. Keep your answers short.", "Be polite and precise.", "You are an AI assistant.",
    "You are an assistant that can call tools when they are needed.", "Please answer in short sentences.",
    "You are a careful assistant. If you do not know the answer, say so.", "You help the user. Use tools when needed.",
)  # fmt: skip
TRANSLATOR_SYSTEMS = (
    "You are a translator. Always respond in the target language only.", "You are a translator.",
    "You translate text. Answer with the translation only.", "Translate what the user writes. No explanations.",
    "You are a professional translator. Respond only with the translation.",
)  # fmt: skip
