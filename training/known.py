"""Short questions that need no steps, with the word that a right answer has in it."""

from __future__ import annotations

import re

FACTS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Germany?": "Berlin",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Russia?": "Moscow",
    "What is the capital of Egypt?": "Cairo",
    "What is the capital of Greece?": "Athens",
    "What is the capital of Austria?": "Vienna",
    "What is the capital of Portugal?": "Lisbon",
    "What is the capital of Canada?": "Ottawa",
    "What is the capital of Australia?": "Canberra",
    "What is the capital of India?": "Delhi",
    "What is the capital of China?": "Beijing",
    "What is the capital of Norway?": "Oslo",
    "What is the largest planet in the solar system?": "Jupiter",
    "Which planet is closest to the sun?": "Mercury",
    "Which planet is known as the red planet?": "Mars",
    "What is the largest ocean on Earth?": "Pacific",
    "What is the longest river in Africa?": "Nile",
    "What is the highest mountain on Earth?": "Everest",
    "On which continent is Brazil?": "South America",
    "On which continent is Kenya?": "Africa",
    "What language is spoken in Brazil?": "Portuguese",
    "What language is spoken in Austria?": "German",
    "What is the currency of Japan?": "yen",
    "What is the currency of the United Kingdom?": "pound",
    "Who wrote Romeo and Juliet?": "Shakespeare",
    "Who painted the Mona Lisa?": "Leonardo|Vinci",
    "Who wrote Pride and Prejudice?": "Austen",
    "Who discovered gravity?": "Newton",
    "Who developed the theory of relativity?": "Einstein",
    "Who was the first president of the United States?": "Washington",
    "Who was the first person on the moon?": "Armstrong",
    "What is the chemical symbol of gold?": "Au",
    "What is the chemical formula of water?": "H2O|H₂O",
    "What gas do plants take in?": "carbon dioxide|CO2",
    "What gas do we need to breathe?": "oxygen",
    "What is frozen water called?": "ice",
    "What do bees make?": "honey",
    "What do cows give us to drink?": "milk",
    "What is the opposite of hot?": "cold",
    "What is the opposite of up?": "down",
    "What is the opposite of happy?": "sad|unhappy",
    "What is the plural of mouse?": "mice",
    "What is the past tense of go?": "went",
    "What is a baby dog called?": "puppy",
    "What is a baby cat called?": "kitten",
    "What colour is the sky on a clear day?": "blue",
    "What colour is grass?": "green",
    "What colour do you get from blue and yellow?": "green",
    "How many days are in a week?": "7|seven",
    "How many months are in a year?": "12|twelve",
    "How many legs has a spider?": "8|eight",
    "How many sides has a triangle?": "3|three",
    "How many continents are there?": "7|seven",
    "What organ pumps blood through the body?": "heart",
    "Which organ do we think with?": "brain",
    "What season comes after winter?": "spring",
    "What is the first month of the year?": "January",
}
"""Each question, and what is looked for in its answer: words, with | between any that will do."""


def is_right(text: str, wanted: str) -> bool:
    """Whether one of the wanted words is in the text."""
    return re.search(rf"(?<!\w)({wanted})(?!\w)", text, re.IGNORECASE) is not None
