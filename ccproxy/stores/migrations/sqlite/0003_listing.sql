-- Which exchange made or sent a message is answered from an index alone, also within one session.

DROP INDEX exchanges_by_tip;
DROP INDEX exchanges_by_reply;
CREATE INDEX exchanges_by_tip ON exchanges (tip, session_id);
CREATE INDEX exchanges_by_reply ON exchanges (reply, session_id) WHERE reply IS NOT NULL;
