-- A log that is put back asks for what waits by lane and counter.
CREATE INDEX held_lane ON held (lane, epoch, counter);
