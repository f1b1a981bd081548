"""The words of the synthetic corpus: templates rated for valence, arousal and dominance, and how one is chosen.

The words follow the emotional state, loosely: every template has a place in the space of valence, arousal and
dominance, and the nearer it is to the speaker's state, the likelier it is chosen. So the words of two emotions differ
as far as the states do, a weak emotion is put mildly, and some sentences suit two emotions, as in conversation.

The ratings are ours, by analogy with those of single words in Warriner, Kuperman and Brysbaert, "Norms of valence,
arousal, and dominance for 13,915 English lemmas", Behavior Research Methods 45, 2013; they claim no more than that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

OPENED = 0.4  # share of utterances that begin with one of the openers
INDIFFERENT = 0.03  # share of utterances whose words do not follow the state: small talk in any emotion
SPREAD = 0.3  # how far, in points of the scale, the words stray from the state

CALM = np.array([3.0, 2.5, 3.2])  # the state that small talk suits

SLOTS = {
    "who": (
        "my sister", "my brother", "my neighbour", "the landlord", "my boss", "the manager", "my cousin", "Anna",
        "Peter", "Maria", "Daniel", "our teacher", "the driver", "my uncle", "my aunt", "the coach", "the new guy",
        "my flatmate", "the doctor", "the waiter", "my grandma", "Tom", "Julia", "our guide", "the plumber", "my son",
    ),
    "thing": (
        "laptop", "car", "phone", "letter", "ticket", "suitcase", "bike", "camera", "parcel", "jacket", "guitar",
        "wallet", "notebook", "ring", "painting", "radio", "passport", "watch", "tent", "printer", "kayak", "lamp",
    ),
    "matter": (
        "exam", "interview", "trip", "wedding", "job", "contract", "meeting", "visit", "operation", "flight", "trial",
        "deal", "concert", "game", "party", "test", "move", "film", "call", "project", "election", "report",
    ),
    "when": (
        "today", "this morning", "last night", "on Monday", "after lunch", "before work", "just now", "yesterday",
        "this week", "at noon", "at the station", "in the office", "at home", "on the bus", "in the kitchen",
        "at school", "in town", "on the stairs", "at the airport", "in the garden",
    ),
}  # fmt: skip

OPENERS = (
    "well, ", "you know, ", "listen, ", "honestly, ", "I mean, ", "look, ", "to be frank, ", "so, ", "oh, ", "now, ",
)  # fmt: skip

# Template, valence, arousal, dominance. No template belongs to an emotion.
RATED = """
I am furious with {who} about the {matter}                  | 1.3 4.8 4.1
how dare {who} touch my {thing} {when}                      | 1.4 4.7 4.3
{who} lied to my face {when}                                | 1.4 4.3 3.6
I told {who} to stop shouting {when}                        | 1.9 4.3 4.3
{who} wrecked my {thing}, and I will make them pay          | 1.3 4.7 4.5
get that stupid {thing} out of my way {when}                | 1.7 4.5 4.6
I am sick of {who} and that {matter}                        | 1.6 4.2 3.9
this {matter} makes my blood boil                           | 1.5 4.7 3.8
{who} had better explain the {matter} {when}                | 2.1 3.9 4.3
I demand my {thing} back from {who}                         | 2.0 4.2 4.5
I hate how {who} runs the {matter}                          | 1.6 4.2 3.7
nobody insults me at the {matter} like {who}                | 1.6 4.4 4.1
it annoys me that {who} took the {thing}                    | 2.1 3.6 3.6
{who} is late again, typical, {when}                        | 2.3 3.4 3.5
I will not put up with the {matter} {when}                  | 1.9 4.1 4.4
{who} cheated in the {matter}                               | 1.7 3.9 3.3
{who} broke my {thing} {when}                               | 1.8 3.7 2.9
they blamed me for the {matter} {when}                      | 1.7 3.7 2.6
I won the {matter} {when}                                   | 4.7 4.4 4.4
I am thrilled about the {matter} with {who}                 | 4.7 4.5 3.8
{who} gave me a wonderful {thing} {when}                    | 4.6 3.8 3.6
what a fantastic {matter} we had {when}                     | 4.7 4.2 3.8
I love the {thing} from {who}                               | 4.7 3.9 3.7
{who} passed the {matter}, I am so proud                    | 4.6 4.0 4.0
we laughed with {who} about the {matter}                    | 4.5 3.9 3.7
I can hardly wait to see {who} {when}                       | 4.4 4.2 3.6
I got the {matter}, let us celebrate {when}                 | 4.8 4.5 4.2
it is great that {who} found the {thing}                    | 4.3 3.6 3.6
{who} told a lovely joke {when}                             | 4.4 3.7 3.5
I am rather pleased with the {matter} {when}                | 4.0 3.1 3.6
we had a nice time with {who} {when}                        | 4.1 3.1 3.5
{who} smiled and hugged me {when}                           | 4.4 3.5 3.4
I am glad the {matter} went well                            | 4.2 3.1 3.7
what a surprise, {who} brought the {thing}                  | 3.9 4.0 3.0
{who} put the {thing} on the table {when}                   | 3.0 2.5 3.2
the {matter} begins {when}, I think                         | 3.1 2.6 3.1
{who} and I met {when}                                      | 3.2 2.6 3.2
the {thing} belongs to {who}                                | 3.0 2.5 3.1
you can leave the {thing} with {who}                        | 3.1 2.5 3.3
I read about the {matter} {when}                            | 3.0 2.5 3.1
{who} takes the {thing} along {when}                        | 3.0 2.5 3.1
there is a {thing} by the door {when}                       | 3.0 2.4 3.1
{who} wrote down the date of the {matter}                   | 3.0 2.5 3.3
I asked {who} for the address {when}                        | 3.0 2.6 3.3
the {matter} takes two hours, {who} says                     | 2.9 2.4 3.1
{who} usually eats soup {when}                              | 3.1 2.4 3.1
the {thing} weighs four pounds, says {who}                  | 3.0 2.4 3.1
I put {who} on the list for the {matter}                    | 3.1 2.6 3.5
{who} talked about the {matter} {when}                      | 3.0 2.8 3.1
I have to call {who} about the {thing}                      | 2.8 2.9 3.1
they changed the date of the {matter} {when}                | 2.7 2.9 2.8
I miss {who} so much {when}                                 | 1.7 2.3 1.8
{who} died {when}, and I feel empty                         | 1.1 2.2 1.4
I cried all alone {when}                                    | 1.4 2.4 1.6
nothing matters since the {matter}                          | 1.5 1.7 1.5
{who} has left me for good                                  | 1.5 2.4 1.5
I feel so lonely without {who} {when}                       | 1.5 2.0 1.7
we lost the {matter}, and there is no hope                  | 1.5 2.2 1.6
{who} is very ill, poor soul                                | 1.6 2.3 1.7
I gave up on the {matter} {when}                            | 1.8 1.9 1.8
my old {thing} is gone, a sad day                           | 1.9 2.1 2.0
I am tired and sorry about the {matter}                     | 2.0 1.8 2.0
{who} looked so sad {when}                                  | 2.0 2.2 2.1
it is a pity about {who} and the {matter}                   | 2.2 2.3 2.3
{who} forgot my birthday {when}                             | 1.9 2.8 2.2
I failed the {matter} {when}                                | 1.7 3.0 1.9
I am scared of the {matter} {when}                          | 1.7 4.2 1.6
please help, {who} is not breathing                         | 1.2 4.8 1.5
someone is following {who} {when}                           | 1.5 4.4 1.6
I am terrified of {who} {when}                              | 1.3 4.7 1.4
what if {who} does not survive the {matter}                 | 1.4 4.3 1.5
there is blood on the {thing}, call {who}                   | 1.4 4.6 1.8
something moved behind the {thing} {when}                   | 2.0 4.2 1.9
I panic when I think of the {matter}                        | 1.6 4.4 1.5
do not leave me alone with {who} {when}                     | 1.7 4.1 1.6
my hands shake before the {matter} {when}                   | 1.9 4.0 1.8
{who} threatened me {when}                                  | 1.4 4.3 1.9
I worry that {who} had an accident {when}                   | 1.7 3.7 1.8
I am nervous about the {matter} with {who}                  | 2.2 3.7 2.1
I heard a strange noise near the {thing}                    | 2.3 3.7 2.2
{who} might lose the {matter}, I fear                       | 1.9 3.5 1.9
"""


@dataclass(frozen=True)
class Words:
    """A sentence and where its template lies in valence, arousal and dominance."""

    text: str
    vad: np.ndarray


def _parse(table: str) -> tuple[list[str], np.ndarray]:
    lines = [line.split("|") for line in table.strip().splitlines()]
    return [template.strip() for template, _ in lines], np.array([numbers.split() for _, numbers in lines], dtype=float)


TEMPLATES, RATINGS = _parse(RATED)


def compose(state: np.ndarray, rng: np.random.Generator) -> Words:
    """Choose words for a state of valence, arousal and dominance."""
    aim = CALM if rng.random() < INDIFFERENT else state
    closeness = np.exp(-((RATINGS - aim) ** 2).sum(1) / (2 * SPREAD**2))
    index = rng.choice(len(TEMPLATES), p=closeness / closeness.sum())
    opener = rng.choice(OPENERS) if rng.random() < OPENED else ""
    text = opener + re.sub(r"\{(\w+)\}", lambda slot: str(rng.choice(SLOTS[slot[1]])), TEMPLATES[index])
    mark = "!" if rng.random() < (aim[1] - 3) / 2 else "."
    return Words(text[0].upper() + text[1:] + mark, RATINGS[index])
