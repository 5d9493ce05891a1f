"""Function words of Hebrew and English, which carry structure and no subject; question words among them."""

HEBREW = frozenset(
    """
    אבל או אולי אותה אותו אותי אותך אותם אותן אותנו אז אחרי אי איזה איזו אילו איך איפה אין אינה אינו אינם אינן
    איננו אך אכן אל אלא אלה אלו אליה אליו אליהם אם אמנם אנחנו אני אף אפילו אצל אשר את אתה אתם אתן
    באיזה באיזו בגלל בה בהם בהן בו בי בין בכך בלי במה במי בעוד בעבור בשביל בתוך גם דרך
    האם הוא היא היה היו הייתה היתה היכן הם הן הנה הרי ואת ואם ועם וכן ולא
    זאת זה זו זהו זוהי זולת חוץ טרם יותר יש ישנה ישנו ישנם כאשר כאלה כאן כבר כדי כזה כזו כיצד כי כך
    ככה כל כלל כלומר כמה כמו כמובן כן כפי לא לאחר לאיזה לאיזו לאן לה להיות להם להן לו לי לך לכם לכן למה למי
    למרות לנו לפי לפיכך לפני לפחות מאוד מאז מאיזה מאיזו מאין מאיפה מאשר מבלי מדוע מדי מה מהו מהי מהם מהן מול
    מי מיהו מיהי מכיוון מלבד ממה ממי ממנה ממנו ממש מן מפני מתוך מתי נגד נו עבור עד עדיין על עליה עליו עליהם עם
    פה פחות צריך רק ש שאר שבו שבה שהוא שהיא שהם שהיה שלה שלהם שלו שלי שלך שלנו של שם תוך תחת
    """.split()
)

ENGLISH = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing
    for from had has have having he her here hers him his how i if in into is it its itself just me more most my no
    nor not of off on once only or other our out over own same she should so some such than that the their them then
    there these they this those through to too under until up very was we were what when where which while who whom
    whose why will with would you your
    """.split()
)
