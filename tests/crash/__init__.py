"""The crash harness: requests and sweeps that die by ``kill -9`` at a failpoint, and what must be true afterwards.

``server``
    A process that imports the project once and forks a child per job; the child works against the test database with
    the application's rights, and the failpoint of the job kills it.
``client``
    ``CrashServer``: starts that process and hands it jobs (fixture ``crash_server``).
``jobs``
    What a child does: one HTTP request, or one round of the sweeper.
``oracle``
    What must be true after a crash and its recovery, on our side and on the processor's.
``flows``, ``acts``
    Every way of money from its beginning to its end, as steps of people, workers and the world outside.
``deaths``
    How a process, its connection to Postgres, a COMMIT's answer or the processor's reply is lost at a named place.
``matrix``, ``stage``, ``snapshot``, ``facts``
    Plays a flow again from the moment before any step, with a death in it, and compares what both sides came to.
``controls``
    Known wrong ways, which the tests must find out.
``races``
    Threads with connections of their own that start at one barrier; constraints taken away for a control.
"""
