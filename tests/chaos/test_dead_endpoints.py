"""Dead endpoints beside living ones: what is for the living does not wait for them, whatever they do not answer."""



LIVING, DEAD, ROUNDS = 80, 20, 12
