"""Plans of moves: made (``making``), changed by people (``editing``), carried out (``driving``), and their times (``lasting``)."""
