"""The sample portfolio: 蓝寓, an invented operator of rental flats in Hangzhou, as source files.

It stands for the outside world, so it knows the formats of the sources and nothing of our tables.
`portfolio.write` is the way in; the other files each invent one thing:

    dice       seeded generators, one per person and concern: changing one concern shifts no other
    days       the sample's calendar and the arithmetic of terms
    places     buildings, flats, units, workplaces          names     names and phone numbers
    people     latent types, habits, who somebody is        cast      four fixed people for tests and tours
    staff      who works there, skills and shifts           leases    tenancies and their contracts
    consents   who agreed to what, and who withdrew         prices    the published rate card
    meters     power and water counters                     doors     openings of the locks
    app        what people do in the app                    community activities, posts, announcements
    tickets    repairs and how long they took               money     bills with moods, payments
    truth      what was meant, for tests only               files     how the files are written

Everything is assumed, nothing is measured: the shares of the latent types and the renewal rates follow
the story that DOMAIN tells, and no outcome here is evidence of anything. Phone numbers begin with 100,
which is assigned to nobody; there are no identity numbers at all.
"""
