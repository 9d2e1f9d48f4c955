"""A Sovereign's life in compressed time: customers who buy, change, pay, forget to pay, complain and leave.

``world`` has the people and the machinery, ``chaos`` what goes wrong, ``books`` what must hold when it is quiet again.
``make soak`` runs a year of 200 Organizations (``soak.py``); the test suite runs a few for some months.
"""
